# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
import torch.nn.functional as F


class PrototypeSets:
    """The M prototype sets: centroids, concentrations, assignments.

    Plain tensors without gradients. They are deliberately no buffers of the
    model: mmengine's SyncBuffersHook would average the integer assignments,
    and their sizes depend on the data. The clustering hook keeps them in the
    checkpoint. The sets lie in one table, so that a training step reads all
    of them with one operation.

    Attributes:
        all_centroids (Tensor): The sets one below the other, shape
            (K_1 + ... + K_M, D), float32, l2-normalised.
        all_concentrations (Tensor): phi, shape (K_1 + ... + K_M,), float32.
        offsets (Tensor): Row of each set's first prototype, shape (M, 1),
            int64.
        sizes (tuple[int, ...]): K of each set.
        assignments (Tensor): Cluster of each training sample in each
            clustering, shape (M, N), int64.
        epoch (int, optional): Epoch, from 0, that they were made for.
    """

    def __init__(self) -> None:
        self.all_centroids = torch.empty(0, 0)
        self.all_concentrations = torch.empty(0)
        self.offsets = torch.empty(0, 1, dtype=torch.int64)
        self.sizes: tuple[int, ...] = ()
        self.assignments = torch.empty(0, 0, dtype=torch.int64)
        self.epoch: int | None = None

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def centroids(self) -> list[torch.Tensor]:
        """M views (K_m, D) of :attr:`all_centroids`."""
        return list(self.all_centroids.split(self.sizes)) if self.ready else []

    @property
    def concentrations(self) -> list[torch.Tensor]:
        """M views phi (K_m,) of :attr:`all_concentrations`."""
        if not self.ready:
            return []
        return list(self.all_concentrations.split(self.sizes))

    @property
    def ready(self) -> bool:
        """Whether an E-step has been made."""
        return len(self) > 0

    def update(
        self,
        centroids: list[torch.Tensor],
        concentrations: list[torch.Tensor],
        assignments: torch.Tensor,
        device: torch.device,
        epoch: int | None = None,
    ) -> None:
        """Take over the result of an E-step.

        Args:
            centroids (list[Tensor]): M tensors (K_m, D); normalised here.
            concentrations (list[Tensor]): M tensors (K_m,).
            assignments (Tensor): Shape (M, N), integers.
            device (torch.device): Where the model trains.
            epoch (int, optional): Epoch, from 0, that they are made for.
        """
        state = dict(
            centroids=[F.normalize(c.float(), dim=1) for c in centroids],
            concentrations=[p.float() for p in concentrations],
            assignments=assignments,
            epoch=epoch,
        )
        self.load_state_dict(state, device)

    def lookup(self, sample_idx: torch.Tensor) -> torch.Tensor:
        """Clusters of training samples.

        Args:
            sample_idx (Tensor): Places in the training set, (B,), int64.

        Returns:
            Tensor: Shape (M, B), int64.
        """
        # A blocking copy would wait for all that the device has to do.
        places = sample_idx.to(self.assignments.device, non_blocking=True)
        return self.assignments.index_select(1, places)

    def state_dict(self) -> dict:
        """Plain CPU tensors for the checkpoint."""
        # Copies: a view would take the whole table into the file.
        return dict(
            centroids=[c.to('cpu', copy=True) for c in self.centroids],
            concentrations=[
                p.to('cpu', copy=True) for p in self.concentrations
            ],
            assignments=self.assignments.int().cpu(),
            epoch=self.epoch,
        )

    def load_state_dict(self, state: dict, device: torch.device) -> None:
        """Restore what :meth:`state_dict` gave, bit for bit.

        Args:
            state (dict): The state.
            device (torch.device): Where the model trains.
        """
        self.sizes = tuple(len(c) for c in state['centroids'])
        first = torch.tensor((0, *self.sizes[:-1])).cumsum(0)
        self.offsets = first[:, None].to(device)
        self.all_centroids = torch.cat(state['centroids']).to(device)
        self.all_concentrations = torch.cat(state['concentrations']).to(device)
        self.assignments = state['assignments'].to(device, torch.int64)
        self.epoch = state.get('epoch')
