# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
import torch.nn.functional as F


class PrototypeSets:
    """The M prototype sets: centroids, concentrations, assignments.

    Plain tensors without gradients. They are deliberately no buffers of the
    model: mmengine's SyncBuffersHook would average the integer assignments,
    and their sizes depend on the data. The clustering hook keeps them in the
    checkpoint.

    Attributes:
        centroids (list[Tensor]): M tensors (K_m, D), float32, l2-normalised.
        concentrations (list[Tensor]): M tensors phi (K_m,), float32.
        assignments (Tensor): Cluster of each training sample in each
            clustering, shape (M, N), int64.
    """

    def __init__(self) -> None:
        self.centroids: list[torch.Tensor] = []
        self.concentrations: list[torch.Tensor] = []
        self.assignments = torch.empty(0, 0, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.centroids)

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
    ) -> None:
        """Take over the result of an E-step.

        Args:
            centroids (list[Tensor]): M tensors (K_m, D); normalised here.
            concentrations (list[Tensor]): M tensors (K_m,).
            assignments (Tensor): Shape (M, N), integers.
            device (torch.device): Where the model trains.
        """
        self.centroids = [
            F.normalize(c.to(device, torch.float32), dim=1) for c in centroids
        ]
        self.concentrations = [
            p.to(device, torch.float32) for p in concentrations
        ]
        self.assignments = assignments.to(device, torch.int64)

    def lookup(self, sample_idx: torch.Tensor) -> torch.Tensor:
        """Clusters of training samples.

        Args:
            sample_idx (Tensor): Places in the training set, (B,), int64.

        Returns:
            Tensor: Shape (M, B), int64.
        """
        return self.assignments[:, sample_idx.to(self.assignments.device)]

    def state_dict(self) -> dict:
        """Plain CPU tensors for the checkpoint."""
        return dict(
            centroids=[c.cpu() for c in self.centroids],
            concentrations=[p.cpu() for p in self.concentrations],
            assignments=self.assignments.int().cpu(),
        )

    def load_state_dict(self, state: dict, device: torch.device) -> None:
        """Restore what :meth:`state_dict` gave, bit for bit.

        Args:
            state (dict): The state.
            device (torch.device): Where the model trains.
        """
        self.centroids = [c.to(device) for c in state['centroids']]
        self.concentrations = [p.to(device) for p in state['concentrations']]
        self.assignments = state['assignments'].to(device, torch.int64)
