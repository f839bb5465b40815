# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from pauc_mm.clustering import OnlineGaussianMixture
from pauc_mm.clustering.mixture.sample_collector import SampleCollector
from pauc_mm.utils import derive_seed
from pauc_mm.utils.checks import (
    check_choice,
    check_integer,
    check_positive,
)

from .base import BasePrototypes


@MODELS.register_module()
class MixturePrototypes(BasePrototypes):
    """Prototypes that are learned apart from the encoder, in every step.

    The directions of the means of online Gaussian mixtures of the momentum
    encoder's embeddings, one mixture for each K (*Why Prototypes Collapse*,
    ICLR 2026; docs/decoupled.md). No gradient reaches them.
    They begin together, from the first ``init_samples`` embeddings after the
    warm-up; until then :meth:`assign` gives None and the prototypes are fixed
    random directions. A checkpoint holds all but the embeddings that are being
    collected: a run resumed just then collects again.

    Where gradients are accumulated, the mixtures learn from each forward pass,
    before or after its losses. They forget as much as from one large batch,
    since eta^a eta^b = eta^(a + b).

    Args:
        num_prototypes (Sequence[int]): K of each set.
        dim (int): D, dimension of the embeddings.
        temperature (float): tau, to which the concentrations are scaled.
        init_samples (int, optional): Embeddings to collect before the
            mixtures begin, at least the largest K. Defaults to 4 of that.
        warmup_steps (int): Training steps before the first is collected. Of
            mixtures that begin with the keys of an untrained encoder many
            components are soon of no use: take a tenth of the training.
        warmup_epochs (float, optional): The same in epochs, whatever the batch
            and the number of GPUs.
        seed (int): Mixed with that of the run.
        update (str): 'before' is the paper's order: the mixtures learn from
            the embeddings of a step, then its losses read them. With 'after'
            the losses read what the steps before have taught them.
        **mixture: Options of the
            :class:`~pauc_mm.clustering.OnlineGaussianMixture`, of which
            ``eta`` counts: a component remembers about 1 / (1 - eta) keys of
            its own; those of an epoch or two are a good number.

    Attributes:
        mixtures (nn.ModuleList): M mixtures.
        steps (Tensor): Training steps seen, a scalar, float64.

    Raises:
        TypeError: An option is unknown.
        ValueError: An option is out of its range; both name the config key.
    """

    def __init__(
        self,
        num_prototypes: Sequence[int],
        dim: int,
        temperature: float = 1.0,
        init_samples: int | None = None,
        warmup_steps: int = 0,
        warmup_epochs: float | None = None,
        seed: int = 0,
        update: str = 'after',
        **mixture: Any,
    ) -> None:
        super().__init__(num_prototypes, dim, temperature, seed)
        self.learns = check_choice(
            'model.prototypes.update', update, ('before', 'after')
        )
        largest = max(self.sizes)
        self.init_samples = check_integer(
            'model.prototypes.init_samples',
            4 * largest if init_samples is None else init_samples,
            largest,
            fix='Every component begins as one of the samples.',
        )
        self.warmup_steps: int | None = check_integer(
            'model.prototypes.warmup_steps', warmup_steps, 0
        )
        self.warmup_epochs = warmup_epochs
        if warmup_epochs is not None:
            check_positive(
                'model.prototypes.warmup_epochs', warmup_epochs, zero=True
            )
            if warmup_steps:
                raise ValueError(
                    f'model.prototypes.warmup_epochs={warmup_epochs} and '
                    f'warmup_steps={warmup_steps} say the same: give one.'
                )
            self.warmup_steps = None  # until the length of an epoch is known
        try:
            self.mixtures: Sequence[OnlineGaussianMixture] = nn.ModuleList(
                OnlineGaussianMixture(k, dim, **mixture) for k in self.sizes
            )  # type: ignore[assignment]
        except (TypeError, ValueError) as error:
            raise type(error)(f'model.prototypes: {error}') from error
        self.register_buffer('steps', torch.zeros((), dtype=torch.float64))
        # Beside the buffer, which on a GPU could not be read without waiting.
        self._step = 0
        self._loaded = False
        self._collector = SampleCollector(self.init_samples)
        self._draw_directions()

    @property
    def ready(self) -> bool:
        """Whether the mixtures have begun."""
        return self.mixtures[0].ready

    def vectors(self) -> Tensor:
        """Return the directions of the means, (K_1 + ... + K_M, D), a copy."""
        return torch.cat([F.normalize(m.means, dim=1) for m in self.mixtures])

    def concentrations(self) -> Tensor:
        """Return phi, (K_1 + ... + K_M,)."""
        return torch.cat(
            [m.concentration(self.temperature) for m in self.mixtures]
        )

    def assign(
        self, keys: Tensor, data_samples: Sequence[DataSample] = ()
    ) -> Tensor | None:
        """Assign keys to the components of largest responsibility."""
        if not self.ready:
            return None
        return torch.stack([m.assign(keys) for m in self.mixtures])

    @torch.compiler.disable
    @torch.no_grad()
    def learn(self, embeddings: Tensor) -> None:
        """Collect embeddings, or learn from them; a collective call.

        Raises:
            RuntimeError: If it is not known how many steps an epoch has.
            ValueError: Embeddings of any rank are not finite, or too few of
                the collected ones are different.
        """
        step, self._step = self._step, self._step + 1
        self.steps.add_(1)
        if self.ready:
            for mixture in self.mixtures:
                mixture.update(embeddings)
            return
        if self.warmup_steps is None:
            raise RuntimeError(
                f'model.prototypes.warmup_epochs={self.warmup_epochs}, but '
                'how many steps an epoch has is not known. Inherit '
                'default_hooks.setup_check, or set warmup_steps instead.'
            )
        if step >= self.warmup_steps:
            collected = self._collector.add(embeddings)
            if collected is not None:
                self._begin(collected)

    def check_setup(self, runner: Runner, per_step: int) -> None:
        """Say when the mixtures will begin, and refuse if they never will.

        Args:
            runner (Runner): The runner, its loop built.
            per_step (int): Embeddings of a step, over all ranks.

        Raises:
            ValueError: If the training ends before.
        """
        per_epoch = len(runner.train_dataloader)
        if self.warmup_epochs is not None:
            self.warmup_steps = round(self.warmup_epochs * per_epoch)
        if self.ready:  # resumed
            return
        collecting = math.ceil(self.init_samples / per_step)
        done = runner.iter  # resumed, perhaps
        begin = done + max(self.warmup_steps - done, 0) + collecting
        facts = (
            f'Online mixtures begin after {begin} steps or '
            f'{begin / per_epoch:.3g} epochs (model.prototypes.warmup_steps='
            f'{self.warmup_steps}, then {collecting} steps for '
            f'init_samples={self.init_samples})'
        )
        if begin >= runner.max_iters:
            raise ValueError(
                f'{facts}, but the training has {runner.max_iters}: their '
                'prototypes would never be used. Lower '
                'model.prototypes.init_samples, or train for longer.'
            )
        runner.logger.info(f'{facts} of {runner.max_iters}.')
        period = _steps_between_checkpoints(runner)
        if period and (begin - 1) // period > (begin - collecting) // period:
            runner.logger.warning(
                f'{facts}, and a checkpoint every {period} steps: one is '
                'written while samples are collected, without them. For exact '
                'resuming lower model.prototypes.init_samples or write '
                'checkpoints elsewhere.'
            )

    def summary(self) -> list[str]:
        """Return one line about each set; waits for the device."""
        if not self.ready:
            return []
        lines = []
        phis = self.concentrations().split(self.sizes)
        for k, mixture, phi in zip(self.sizes, self.mixtures, phis):
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

    def seed_run(self, seed: int) -> None:
        """Make what is drawn a function of the seed of the run, too."""
        super().seed_run(seed)
        self._draw_directions()

    def _draw_directions(self) -> None:
        for m, mixture in enumerate(self.mixtures):
            mixture.seed = self.run_seed
            if len(self.sizes) > 1:
                mixture.seed = derive_seed(self.run_seed, m)
            if self._loaded or self.ready:  # by a checkpoint
                continue
            generator = torch.Generator().manual_seed(mixture.seed)
            drawn = torch.randn(mixture.means.shape, generator=generator)
            mixture.means.copy_(F.normalize(drawn, dim=1))

    def _begin(self, collected: Tensor) -> None:
        for m, mixture in enumerate(self.mixtures):
            try:
                mixture.initialise(collected)
            except ValueError as error:
                raise ValueError(
                    f'The mixture of set {m} of model.prototypes, K='
                    f'{self.sizes[m]}, cannot begin: {error}'
                ) from error
        self._collector.clear()

    def _apply(self, fn, recurse=True):
        """Move between devices, but never to half precision."""
        super()._apply(fn, recurse)
        self.steps = self.steps.double()
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._step = int(self.steps)
        self._loaded = True
        self._collector.clear()


def _steps_between_checkpoints(runner: Runner) -> int:
    """Return the steps from one checkpoint to the next, 0 if none is made."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.interval > 0:
            epoch = len(runner.train_dataloader) if hook.by_epoch else 1
            return hook.interval * epoch
    return 0
