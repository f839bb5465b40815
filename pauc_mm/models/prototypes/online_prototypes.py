# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields

import torch
import torch.nn.functional as F
from torch import nn

from pauc_mm.clustering import OnlineGaussianMixture
from pauc_mm.clustering.mixture.options import MixtureOptions
from pauc_mm.clustering.mixture.sample_collector import SampleCollector
from pauc_mm.utils import derive_seed

_MIXTURE_OPTIONS = {field.name for field in fields(MixtureOptions)}
_MIXTURE_OPTIONS -= {'num_components', 'dim', 'init_samples'}


class OnlinePrototypes(nn.Module):
    """The M prototype sets without an E-step: mixtures that follow the keys.

    Each set is an :class:`~pauc_mm.clustering.OnlineGaussianMixture` of the
    momentum embeddings v' (docs/decoupled.md), one for each K. In a
    training step the keys of the batch are assigned by the mixtures as they
    were before it, the losses take their means as constants, and then the
    mixtures have learned from the keys. They begin together, from the first
    ``init_samples`` keys after ``warmup_steps``. It serves the losses as
    :class:`~pauc_mm.models.PrototypeSets` does.

    All of the state is in float buffers, so it is in the checkpoint, moves
    with the model, and is the same on all ranks. Only keys that are being
    collected are not in it: a run that is resumed just then collects anew.

    Args:
        num_clusters (Sequence[int]): K of each set.
        dim (int): D, dimension of the embeddings.
        temperature (float): tau, to which the concentrations are scaled.
        init_samples (int, optional): Keys to collect before the mixtures
            begin, at least the largest K. Defaults to 4 of that.
        warmup_steps (int): Training steps before the first is collected.
            Of mixtures that begin with the keys of an untrained encoder many
            components are soon of no use: take a tenth of the training, or
            what PCL takes. Defaults to 0.
        warmup_epochs (float, optional): The same in epochs, whatever the
            batch and the number of GPUs: a Runner sets ``warmup_steps`` from
            it, see :meth:`count_epochs`. Defaults to None.
        seed (int): Of the beginning and of the negatives. Mixed with the
            seed of the run by :meth:`seed_run`. Defaults to 0.
        **mixture: Options of the mixtures, of which ``eta`` counts: a
            component remembers about 1 / (1 - eta) keys of its own; those of
            an epoch or two are a good number.

    Attributes:
        all_centroids (Tensor): Directions of the means as they were at the
            last :meth:`assign_and_learn`, the sets one below the other,
            shape (K_1 + ... + K_M, D), float32, l2-normalised.
        all_concentrations (Tensor): phi at that time, (K_1 + ... + K_M,).
        offsets (Tensor): Row of each set's first prototype, (M, 1), int64.
        sizes (tuple[int, ...]): K of each set.
        assignments (None): Clusters of the training set are not kept.
        steps (Tensor): Training steps seen, a scalar, float64.

    Raises:
        ValueError: An option is unknown or out of its range; the message
            names the config key.
    """

    assignments = None

    def __init__(
        self,
        num_clusters: Sequence[int],
        dim: int,
        temperature: float,
        init_samples: int | None = None,
        warmup_steps: int = 0,
        warmup_epochs: float | None = None,
        seed: int = 0,
        **mixture,
    ) -> None:
        super().__init__()
        self.sizes = tuple(num_clusters)
        self.temperature = temperature
        self.init_samples = _checked_samples(init_samples, max(self.sizes))
        if not _is_whole(warmup_steps, 0):
            raise ValueError(
                'model.mixture.warmup_steps must be an integer >= 0, not '
                f'{warmup_steps!r}.'
            )
        self.warmup_steps: int | None = warmup_steps
        self.warmup_epochs = _checked_epochs(warmup_epochs, warmup_steps)
        if warmup_epochs is not None:
            self.warmup_steps = None  # until the length of an epoch is known
        known = sorted(_MIXTURE_OPTIONS)
        for name in mixture.keys() - _MIXTURE_OPTIONS:
            raise ValueError(
                f'model.mixture.{name} is no option; there are init_samples, '
                f'warmup_steps, warmup_epochs, {", ".join(known)}.'
            )
        try:
            self.mixtures = nn.ModuleList(
                OnlineGaussianMixture(k, dim, seed=seed, **mixture)
                for k in self.sizes
            )
        except ValueError as error:
            raise ValueError(f'model.mixture.{error}') from error
        first = torch.tensor((0, *self.sizes[:-1])).cumsum(0)
        # Small enough for mmengine's SyncBuffersHook, which averages in
        # float32; the count of steps need not be.
        self.register_buffer('offsets', first[:, None], persistent=False)
        self.register_buffer('steps', torch.zeros((), dtype=torch.float64))
        # Beside the buffer, which on a GPU could not be read without waiting.
        self._step = 0
        self._seed = self._run_seed = seed
        self._collector = SampleCollector(self.init_samples)
        self.all_centroids = torch.empty(0, dim)
        self.all_concentrations = torch.empty(0)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def ready(self) -> bool:
        """Whether the mixtures have begun."""
        return self.mixtures[0].ready

    @property
    def centroids(self) -> list[torch.Tensor]:
        """Directions of the means as they are now, M tensors (K_m, D)."""
        if not self.ready:
            return []
        return [F.normalize(mixture.means, dim=1) for mixture in self.mixtures]

    @property
    def concentrations(self) -> list[torch.Tensor]:
        """Concentrations as they are now, M tensors phi (K_m,).

        See :meth:`OnlineGaussianMixture.concentration`.
        """
        if not self.ready:
            return []
        return [
            mixture.concentration(self.temperature)
            for mixture in self.mixtures
        ]

    @torch.compiler.disable
    @torch.no_grad()
    def assign_and_learn(self, keys: torch.Tensor) -> torch.Tensor | None:
        """Take a training step; a collective call.

        :attr:`all_centroids` and :attr:`all_concentrations` are then new
        tensors with the prototypes from before the step, which no later step
        changes: the backward pass may read them.

        Args:
            keys (Tensor): l2-normalised v' of this rank, shape (N, D).

        Returns:
            Tensor or None: Clusters of the keys, shape (M, N), int64, from
            before the step. None until the mixtures have begun.

        Raises:
            ValueError: Keys of any rank are not finite, or too few of the
                collected ones are different.
        """
        step, self._step = self._step, self._step + 1
        self.steps.add_(1)
        if self.ready:
            self.all_centroids = torch.cat(self.centroids)
            self.all_concentrations = torch.cat(self.concentrations)
            return torch.stack(
                [mixture.assign_and_update(keys) for mixture in self.mixtures]
            )
        if self.warmup_steps is None:
            raise RuntimeError(
                f'model.mixture.warmup_epochs={self.warmup_epochs}, but how '
                'many steps an epoch has is not known: inherit '
                'default_hooks.setup_check of '
                'configs/_base_/default_runtime.py, which tells, or give '
                'model.mixture.warmup_steps.'
            )
        if step >= self.warmup_steps:
            collected = self._collector.add(keys)
            if collected is not None:
                self._begin(collected)
        return None

    def count_epochs(self, steps: int) -> None:
        """Set ``warmup_steps``, where ``warmup_epochs`` was given.

        Args:
            steps (int): Of an epoch.
        """
        if self.warmup_epochs is not None:
            self.warmup_steps = round(self.warmup_epochs * steps)

    def seed_run(self, seed: int) -> None:
        """Make what is drawn a function of the seed of the run, too.

        Args:
            seed (int): The same on all ranks.
        """
        self._run_seed = derive_seed(seed, self._seed)

    def seed_of_step(self) -> int:
        """A seed for the negatives of this step, alike on all ranks."""
        return derive_seed(self._run_seed, self._step)

    def summary(self) -> list[str]:
        """One line for the log about each set; waits for the device."""
        lines = []
        for k, mixture, phi in zip(
            self.sizes, self.mixtures, self.concentrations
        ):
            share = mixture.frequency / mixture.frequency.sum()
            used = torch.special.entr(share).sum().exp()
            lines.append(
                f'Mixture K={k}: used as {used:.1f} equal clusters, shares '
                f'min {share.min():.2g} / median {share.median():.2g} / max '
                f'{share.max():.2g}, mean concentration {phi.mean():.4f} '
                f'(min {phi.min():.4f}, max {phi.max():.4f}), after '
                f'{int(mixture.steps)} updates'
            )
        return lines

    def _begin(self, collected: torch.Tensor) -> None:
        for m, mixture in enumerate(self.mixtures):
            mixture.seed = derive_seed(self._run_seed, m)
            try:
                mixture.initialise(collected)
            except ValueError as error:
                raise ValueError(
                    f'The mixture of model.num_clusters[{m}]={self.sizes[m]} '
                    f'cannot begin: {error}'
                ) from error
        self._collector.clear()

    def _apply(self, fn, recurse=True):
        """Moves between devices, but never to half precision."""
        super()._apply(fn, recurse)
        self.steps = self.steps.double()
        return self

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._step = int(self.steps)
        self._collector.clear()


def _checked_epochs(epochs: float | None, steps: int) -> float | None:
    if epochs is None:
        return None
    if isinstance(epochs, bool) or not isinstance(epochs, (int, float)):
        raise TypeError(
            f'model.mixture.warmup_epochs must be a number, not {epochs!r}.'
        )
    if not 0 <= epochs < math.inf:
        raise ValueError(
            f'model.mixture.warmup_epochs must be >= 0, not {epochs!r}.'
        )
    if steps:
        raise ValueError(
            f'model.mixture.warmup_epochs={epochs} and '
            f'model.mixture.warmup_steps={steps} say the same: give one.'
        )
    return epochs


def _is_whole(value, least: int) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and value >= least


def _checked_samples(samples: int | None, largest: int) -> int:
    if samples is None:
        return 4 * largest
    if not _is_whole(samples, largest):
        raise ValueError(
            f'model.mixture.init_samples must be an integer >= {largest}, the '
            f'largest of model.num_clusters, not {samples!r}: every component '
            'begins as some of the samples. The default is 4 times as many.'
        )
    return samples
