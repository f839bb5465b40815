# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Sizes of batches against the batches themselves; bounds that are allowed."""

from types import SimpleNamespace

import pytest
from mmengine.dataset import InfiniteSampler
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from pauc_mm.models import checks


class NamelessBatches(list):
    """A batch sampler that does not say how large its batches are."""


@pytest.mark.parametrize('drop_last', [True, False])
@pytest.mark.parametrize('size', [1, 3, 4, 5, 12, 13])
@pytest.mark.parametrize('by_sampler', [True, False])
def test_smallest_batch_is_the_smallest(size, drop_last, by_sampler):
    data = list(range(12))
    options = dict(batch_size=size, drop_last=drop_last)
    if by_sampler:
        sampler = BatchSampler(SequentialSampler(data), size, drop_last)
        options = dict(batch_sampler=sampler)
    loader = DataLoader(data, **options)
    lengths = [len(batch) for batch in loader]
    assert checks.smallest_batch(loader) == min(lengths, default=0)


def test_smallest_batch_of_other_loaders():
    data = list(range(12))
    whole = DataLoader(data, batch_sampler=NamelessBatches([data]))
    assert checks.smallest_batch(whole) == 12
    endless = DataLoader(data, 5, sampler=InfiniteSampler(data))
    assert checks.smallest_batch(endless) == 5


def test_the_batch_of_all_processes(monkeypatch):
    data = list(range(12))
    sampler = BatchSampler(SequentialSampler(data), 4, False)
    monkeypatch.setattr(checks, 'get_world_size', lambda: 3)
    for options in (dict(batch_size=4), dict(batch_sampler=sampler)):
        loader = DataLoader(data, **options)
        runner = SimpleNamespace(train_dataloader=loader)
        assert checks.global_batch_size(runner) == 12
    runner.train_dataloader = DataLoader(
        data, batch_sampler=NamelessBatches([data])
    )
    with pytest.raises(ValueError, match='NamelessBatches.*batch_size'):
        checks.global_batch_size(runner)


def test_as_many_as_there_are_is_allowed(monkeypatch):
    told = []
    monkeypatch.setattr(
        checks, 'print_log', lambda text, **_: told.append(text)
    )
    checks.check_clusters([3, 12], 12)
    with pytest.raises(ValueError, match=r'model.num_clusters=\[3, 13\]'):
        checks.check_clusters([3, 13], 12)
    checks.check_queue(16, 16, 16)
    checks.check_queue(16, 8)
    assert not told
    checks.check_queue(16, 8, 15)
    assert 'model.queue_len=16' in told[0] and '15' in told[0]
    with pytest.raises(ValueError, match='model.queue_len=16'):
        checks.check_queue(16, 17)
