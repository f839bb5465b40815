# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch


class MomentumBank:
    """Momentum embeddings that a rank computes anyway during an epoch.

    Kept for an epoch, they serve the E-step without a second pass over the
    data set; in exchange they come from augmented views, BatchNorm in
    training mode, and an encoder up to an epoch old. A rank holds only the
    images that it trains on, in their order, on its device.

    Args:
        capacity (int): Images that this rank trains on in an epoch.
        dim (int): D, dimension of the embeddings.
        device (torch.device): Where the model trains.
    """

    def __init__(self, capacity: int, dim: int, device: torch.device) -> None:
        self.embeddings = torch.empty(capacity, dim, device=device)
        self.sample_idx = torch.empty(capacity, dtype=torch.int64)
        self.used = 0

    @torch.compiler.disable
    @torch.no_grad()
    def write(self, sample_idx: torch.Tensor, keys: torch.Tensor) -> None:
        """Keep the embeddings of a batch.

        Args:
            sample_idx (Tensor): Indices in the training set, (B,), int64,
                on the CPU.
            keys (Tensor): l2-normalised v', shape (B, D), float32.

        Raises:
            RuntimeError: If the epoch has more images than ``capacity``.
        """
        end = self.used + len(keys)
        if end > len(self.sample_idx):
            raise RuntimeError(
                'len(train_dataloader.sampler) is '
                f'{len(self.sample_idx)}, but the epoch has {end} images. '
                'Use a sampler whose length is what it yields, or '
                "default_hooks.clustering.features='extract'."
            )
        self.embeddings[self.used : end] = keys
        self.sample_idx[self.used : end] = sample_idx
        self.used = end

    def visits(self, total: int) -> torch.Tensor:
        """Count the embeddings of each of N images, (N,), int64, CPU."""
        return torch.bincount(self.sample_idx[: self.used], minlength=total)

    def add_to(self, matrix: torch.Tensor, rows: torch.Tensor) -> None:
        """Add the embeddings to the rows of their images.

        The matrix (n, D), float32, where the bank is, is changed. ``rows`` are
        the rows of N images, -1 for none, (N,), int64, on the CPU.
        """
        for start in range(0, self.used, 65536):
            part = slice(start, min(start + 65536, self.used))
            own = rows[self.sample_idx[part]].to(matrix.device)
            held = own >= 0
            matrix.index_add_(0, own[held], self.embeddings[part][held])
