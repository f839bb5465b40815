# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from typing import NamedTuple

import torch
from mmengine.dist import all_reduce, get_dist_info
from torch import Tensor

_ROWS_AT_ONCE = 65536  # of a matrix that may not fit on a GPU


class Shard(NamedTuple):
    """Rows of a matrix (N, ...) that this rank holds.

    Each row is held by exactly one rank.

    Attributes:
        rows (Tensor): Shape (n, ...), on the CPU or the device of the rank.
        index (Tensor): Their numbers in the matrix, ascending, shape (n,),
            int64, on the CPU.
        total (int): N.
    """

    rows: Tensor
    index: Tensor
    total: int

    @classmethod
    def of(cls, matrix: Tensor) -> 'Shard':
        """Take the rows r, r + world_size and so on of a matrix."""
        rank, world_size = get_dist_info()
        own = slice(rank, None, world_size)
        index = torch.arange(len(matrix))[own]
        return cls(matrix[own].contiguous(), index, len(matrix))

    def gather(self) -> Tensor:
        """Assemble the matrix on the CPU of every rank; a collective call."""
        if get_dist_info()[1] == 1:
            return self.rows.cpu()
        shape = self.total, *self.rows.shape[1:]
        matrix = self.rows.new_zeros(shape, device='cpu')
        matrix[self.index] = self.rows.cpu()
        for part in matrix.split(_ROWS_AT_ONCE):  # views
            all_reduce(part)  # of rows that are zero on all ranks but one
        return matrix
