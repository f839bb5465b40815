# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
from mmengine.dist import all_gather_object


class SampleCollector:
    """Buffer of the first embeddings of all ranks, until there are enough.

    Args:
        capacity (int): Embeddings that are enough.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0
        self._rows: torch.Tensor | None = None

    def add(self, embeddings: torch.Tensor) -> torch.Tensor | None:
        """Keep a batch; a collective call that waits for the device.

        Args:
            embeddings (Tensor): Embeddings of this rank, shape (N, D); N may
                differ between ranks.

        Returns:
            Tensor or None: Once there are enough, shape (capacity, D), the
            same on all ranks: batch by batch, then rank by rank, cut to size.
        """
        if self._rows is None:
            shape = self.capacity, embeddings.shape[1]
            self._rows = embeddings.new_empty(shape)
        parts = [x.to(embeddings) for x in all_gather_object(embeddings.cpu())]
        rows = torch.cat(parts)[: self.capacity - self.used]
        self._rows[self.used : self.used + len(rows)] = rows
        self.used += len(rows)
        return self._rows if self.used == self.capacity else None

    def clear(self) -> None:
        """Free the memory and start again."""
        self._rows, self.used = None, 0
