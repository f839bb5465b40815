# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
from mmengine.dist import all_gather


class SampleCollector:
    """Keeps the first embeddings of all ranks until there are enough.

    Args:
        capacity (int): How many are enough.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0
        self._rows: torch.Tensor | None = None

    def add(self, embeddings: torch.Tensor) -> torch.Tensor | None:
        """Keep a batch; a collective call that waits for the device.

        Args:
            embeddings (Tensor): Of this rank, shape (N, D); N may differ
                from rank to rank.

        Returns:
            Tensor or None: As soon as there are enough, all of them, shape
            (capacity, D), the same on all ranks; batch by batch, and in a
            batch rank by rank. What a batch has in excess is left out.
        """
        if self._rows is None:
            shape = self.capacity, embeddings.shape[1]
            self._rows = embeddings.new_empty(shape)
        rows = _gather(embeddings)[: self.capacity - self.used]
        self._rows[self.used : self.used + len(rows)] = rows
        self.used += len(rows)
        return self._rows if self.used == self.capacity else None

    def clear(self) -> None:
        """Give the memory back, and begin anew."""
        self._rows, self.used = None, 0


def _gather(rows):
    """Rows of all ranks in their order; the ranks may have different many."""
    sizes = all_gather(torch.tensor([len(rows)], device=rows.device))
    sizes = [int(size) for size in sizes]
    padded = rows.new_zeros(max(sizes), rows.shape[1])
    padded[: len(rows)] = rows
    gathered = all_gather(padded)
    return torch.cat([part[:n] for part, n in zip(gathered, sizes)])
