# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from .base import BasePrototypes, PrototypeSet
from .momentum_bank import MomentumBank


@MODELS.register_module()
class KMeansPrototypes(BasePrototypes):
    """Centroids of the training set, made by the E-step of PCL.

    Plain tensors, which :class:`~pauc_mm.engine.hooks.ClusteringHook` makes
    and keeps in the checkpoint. They are no buffers: mmengine's
    SyncBuffersHook would average the integer assignments, and their sizes
    depend on the data, since clusters may end up empty.

    Args:
        **kwargs: See :class:`BasePrototypes`.

    Attributes:
        assignments (Tensor): Cluster of each training image in each set,
            shape (M, N), int64; (0, 0) before the first E-step.
        epoch (int, optional): Epoch, from 0, that they were made for.
        bank (MomentumBank, optional): Collects the keys of this epoch for
            the next E-step.
    """

    needs_e_step = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.seed:
            raise ValueError(
                'model.prototypes.seed has no effect with KMeansPrototypes, '
                f'got {self.seed!r}: set randomness.seed instead.'
            )
        self.assignments = torch.empty(0, 0, dtype=torch.int64)
        self.epoch: int | None = None
        self.bank: MomentumBank | None = None
        self._vectors, self._phi = torch.empty(0, self.dim), torch.empty(0)

    @property
    def ready(self) -> bool:
        """Whether an E-step has been made."""
        return len(self.assignments) > 0

    @property
    def centroids(self) -> list[Tensor]:
        """Centroids of each set, M views (K_m, D); [] before an E-step."""
        return list(self._vectors.split(self.sizes)) if self.ready else []

    @torch.compiler.disable  # K may change with each E-step
    def vectors(self) -> Tensor:
        """Return the centroids, l2-normalised, (K_1 + ... + K_M, D)."""
        return self._vectors

    @torch.compiler.disable
    def concentrations(self) -> Tensor:
        """Return phi of the centroids (PCL, eq. 12), (K_1 + ... + K_M,)."""
        return self._phi

    def assign(
        self, keys: Tensor, data_samples: Sequence[DataSample]
    ) -> Tensor | None:
        """Look up the clusters of images; write their keys to the bank.

        Raises:
            ValueError: If samples have no ``sample_idx``.
        """
        if not self.ready and self.bank is None:
            return None
        sample_idx = _sample_indices(data_samples)
        if self.bank is not None:
            self.bank.write(sample_idx, keys)
        return self.lookup(sample_idx) if self.ready else None

    def lookup(self, sample_idx: Tensor) -> Tensor:
        """Return the clusters (M, N) of training images (N,), int64."""
        # A blocking copy would wait for all that the device has to do.
        index = sample_idx.to(self.assignments.device, non_blocking=True)
        return self.assignments.index_select(1, index)

    def sets(self) -> list[PrototypeSet]:
        """Return the M sets with their assignments; [] before an E-step."""
        if not self.ready:
            return []
        pairs = zip(self.centroids, self.assignments)
        return [PrototypeSet(*pair) for pair in pairs]

    def update(
        self,
        centroids: Sequence[Tensor],
        concentrations: Sequence[Tensor],
        assignments: Tensor,
        device: torch.device,
        epoch: int | None = None,
    ) -> None:
        """Take over the result of an E-step.

        Args:
            centroids (Sequence[Tensor]): M tensors (K_m, D); normalised here.
            concentrations (Sequence[Tensor]): M tensors (K_m,).
            assignments (Tensor): Shape (M, N), integers.
            device (torch.device): Where the model trains.
            epoch (int, optional): Epoch, from 0, that they are made for.
        """
        state = dict(
            centroids=[F.normalize(c.float(), dim=1) for c in centroids],
            concentrations=[phi.float() for phi in concentrations],
            assignments=assignments,
            epoch=epoch,
        )
        self.load_clustering(state, device)

    def clustering(self) -> dict:
        """Return plain CPU tensors for the checkpoint; {} if there are none.

        Copies, since a view would take all sets into the file.
        """
        if not self.ready:
            return {}
        phi = self._phi.split(self.sizes)
        return dict(
            centroids=[c.to('cpu', copy=True) for c in self.centroids],
            concentrations=[p.to('cpu', copy=True) for p in phi],
            assignments=self.assignments.int().cpu(),
            epoch=self.epoch,
        )

    def load_clustering(self, state: dict, device: torch.device) -> None:
        """Restore what :meth:`clustering` gave, bit for bit."""
        self.sizes = tuple(len(c) for c in state['centroids'])
        self._vectors = torch.cat(list(state['centroids'])).to(device)
        self._phi = torch.cat(list(state['concentrations'])).to(device)
        self.assignments = state['assignments'].to(device, torch.int64)
        self.epoch = state.get('epoch')

    def check_setup(self, runner: Runner, per_step: int) -> None:
        """Warn if no hook makes an E-step."""
        if not any(hasattr(hook, 'e_step') for hook in runner.hooks):
            print_log(
                'model.prototypes=KMeansPrototypes is trained without a '
                'ClusteringHook: the loss is InfoNCE alone. Inherit '
                'configs/_base_/clustering_runtime.py, or add '
                "default_hooks.clustering=dict(type='ClusteringHook', ...).",
                logger='current',
                level=logging.WARNING,
            )


@torch.compiler.disable
def _sample_indices(data_samples: Sequence[DataSample]) -> Tensor:
    try:
        return torch.tensor([sample.sample_idx for sample in data_samples])
    except (AttributeError, TypeError) as error:
        raise ValueError(
            'The data samples carry no sample_idx, which finds the cluster '
            'of an image: keep it in the meta_keys of PackInputs.'
        ) from error
