# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from pauc_mm.utils import derive_seed


class PrototypeSet(NamedTuple):
    """One set of prototypes, to be measured.

    Attributes:
        vectors (Tensor): Shape (K, D), of any norm but zero.
        assignments (Tensor, optional): Prototype of each training image,
            shape (N,), int64; None if they are not stored.
    """

    vectors: Tensor
    assignments: Tensor | None = None


class BasePrototypes(nn.Module, ABC):
    """M sets of prototypes of an algorithm: the slot ``model.prototypes``.

    A new kind defines :meth:`vectors`, and overrides of the rest what is
    different with it (docs/tutorials/own_parts.md).

    Args:
        num_prototypes (Sequence[int]): K of each set.
        dim (int): D, dimension of the embeddings.
        temperature (float): tau of the algorithm.
        seed (int): Mixed with that of the run.

    Attributes:
        needs_e_step (bool): Whether a ClusteringHook makes them.
        trained (bool): Whether the gradient of the loss trains them.
        learns (str): 'before' or 'after' the losses of a step read them.
        sizes (tuple[int, ...]): K of each set.
        run_seed (int): Seed of what they draw, alike on all ranks.
    """

    needs_e_step = False
    trained = False
    learns = 'after'

    def __init__(
        self,
        num_prototypes: Sequence[int],
        dim: int,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.sizes = tuple(num_prototypes)
        self.dim, self.temperature = dim, temperature
        self.seed = self.run_seed = seed

    @property
    def ready(self) -> bool:
        """Whether samples can be assigned: here from the first step on."""
        return True

    @abstractmethod
    def vectors(self) -> Tensor:
        """Return the prototypes, the sets one below the other.

        Returns:
            Tensor: l2-normalised, shape (K_1 + ... + K_M, D), float32. What
            the losses read of it must not change before their backward pass.
        """

    def concentrations(self) -> Tensor:
        """Return phi of each prototype, (K_1 + ... + K_M,): here tau."""
        return self.vectors().new_full((sum(self.sizes),), self.temperature)

    def assign(
        self, keys: Tensor, data_samples: Sequence[DataSample]
    ) -> Tensor | None:
        """Assign the samples of a batch: here to the nearest prototypes.

        Args:
            keys (Tensor): l2-normalised embeddings, shape (N, D), float32.
            data_samples (Sequence[DataSample]): The N samples.

        Returns:
            Tensor or None: Prototype of each sample within each set, shape
            (M, N), int64; None while there are no prototypes.
        """
        scores = keys @ self.vectors().detach().T  # (N, K_1 + ... + K_M)
        sets = scores.split(self.sizes, dim=1)
        return torch.stack([part.argmax(dim=1) for part in sets])

    @torch.compiler.disable  # K may change with each E-step
    def rows(self, ids: Tensor) -> Tensor:
        """Rows of :meth:`vectors` of ids within each set, (M, N)."""
        first = accumulate((0, *self.sizes[:-1]))
        return torch.stack([part + n for part, n in zip(ids, first)])

    def learn(self, embeddings: Tensor) -> None:
        """Learn from the embeddings of a step; a collective call.

        Args:
            embeddings (Tensor): l2-normalised, without gradient, shape
                (N, D), float32.
        """

    def sets(self) -> list[PrototypeSet]:
        """Return the M sets, to be measured."""
        parts = self.vectors().detach().split(self.sizes)
        return [PrototypeSet(part) for part in parts]

    def check_setup(self, runner: Runner, per_step: int) -> None:
        """Refuse a training that cannot work, before its first step.

        Args:
            runner (Runner): The runner, its loop built.
            per_step (int): Embeddings of a step, over all ranks.
        """

    def summary(self) -> list[str]:
        """Return lines for the log at the end of an epoch."""
        return []

    def seed_run(self, seed: int) -> None:
        """Make what is drawn a function of the seed of the run, too."""
        self.run_seed = derive_seed(seed, self.seed)


def refuse_old_options(options: dict) -> None:
    """Refuse options that ``model.prototypes`` has replaced.

    Raises:
        TypeError: Names the option and how to write it.
    """
    for key in ('decouple', 'mixture'):
        value = options.pop(key, None)
        if value:  # the old defaults say nothing
            raise TypeError(
                f'model.{key}={value!r} is now '
                "model.prototypes=dict(type='MixturePrototypes', ...), with "
                'the options of the mixture in it. Checkpoints resume with it.'
            )


def build_prototypes(cfg: Mapping, **given: Any) -> BasePrototypes:
    """Build ``model.prototypes``.

    Raises:
        TypeError: If it is no config.
        ValueError: If it gives one of these arguments itself.
    """
    if not isinstance(cfg, Mapping):
        raise TypeError(
            'model.prototypes must be a config such as '
            "dict(type='KMeansPrototypes') or dict(type='MixturePrototypes', "
            f'eta=0.99), got {cfg!r}.'
        )
    for key in given:
        if key in cfg:
            raise ValueError(
                f'model.prototypes.{key} follows from the sizes of the model '
                '(num_clusters or head.num_prototypes, feat_dim, '
                f'head.temperature), got {cfg[key]!r}. Remove it.'
            )
    return MODELS.build({**cfg, **given})
