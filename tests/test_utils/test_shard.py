# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import sys

import pytest
import torch

from pauc_mm.utils import Shard, distributed, first_over_ranks

module = sys.modules[Shard.__module__]


@pytest.mark.parametrize('dtype', [torch.float32, torch.int32])
def test_the_shards_of_three_ranks_make_the_matrix(monkeypatch, dtype):
    matrix = torch.arange(21).view(7, 3).to(dtype)
    monkeypatch.setattr(module, '_ROWS_AT_ONCE', 2)
    placed, parts = torch.zeros_like(matrix), []
    for rank in range(3):
        monkeypatch.setattr(module, 'get_dist_info', lambda r=rank: (r, 3))
        monkeypatch.setattr(module, 'all_reduce', parts.append)
        shard = Shard.of(matrix)
        assert shard.index.tolist() == list(range(rank, 7, 3))
        assert shard.rows.is_contiguous() and shard.total == 7
        placed += shard.gather()  # zero where it has no row
    assert torch.equal(placed, matrix)
    assert [len(part) for part in parts] == 3 * [2, 2, 2, 1]


def test_a_shard_of_one_process_is_the_matrix():
    matrix = torch.rand(5, 2)
    whole = Shard.of(matrix).gather()
    assert torch.equal(whole, matrix)
    assert whole.data_ptr() == matrix.data_ptr()  # no second one


def test_the_first_of_all_ranks(monkeypatch):
    found = [torch.tensor([4, 9]), torch.tensor([], dtype=torch.int64)]
    found.append(torch.arange(1, 60, 3))
    told = []

    def gather(own):
        told.append(own)
        return [(len(f), f[:5].tolist()) for f in found]

    monkeypatch.setattr(distributed, 'all_gather_object', gather)
    assert first_over_ranks(found[2]) == (22, [1, 4, 4, 7, 9])
    assert told == [(20, [1, 4, 7, 10, 13])]
