# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Sizes of batches against the batches themselves; bounds that are allowed."""

import logging
from types import SimpleNamespace

import pytest
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch import nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    SequentialSampler,
)

from pauc_mm.models import checks


class NamelessBatches(list):
    """A batch sampler that does not say how large its batches are."""


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(13))


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
    whole.batch_sampler.batch_size = 5  # and no drop_last
    assert checks.smallest_batch(whole) == 5
    endless = DataLoader(data, 5, sampler=InfiniteSampler(data))
    assert checks.smallest_batch(endless) == 5
    share = DataLoader(data, 4, sampler=range(6))  # of two processes
    assert checks.smallest_batch(share) == 2


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
        checks,
        'print_log',
        lambda text, level, **_: (
            told.append(text) if level == logging.WARNING else None
        ),
    )
    checks.check_clusters([3, 12], 12)
    for numbers in ([3, 13], [13, 3]):
        with pytest.raises(ValueError, match='model.num_clusters=.*13'):
            checks.check_clusters(numbers, 12)
    checks.check_queue(16, 16, 16)
    checks.check_queue(16, 8)
    assert not told
    checks.check_queue(16, 8, 15)
    assert 'model.queue_len=16' in told[0] and '15' in told[0]
    with pytest.raises(ValueError, match='model.queue_len=16'):
        checks.check_queue(16, 17)


@pytest.mark.parametrize('processes', [1, 2])
@pytest.mark.parametrize('norm', [nn.BatchNorm1d, nn.BatchNorm2d])
def test_a_batch_of_one_is_too_small_for_values_alone(
    monkeypatch, norm, processes
):
    monkeypatch.setattr(checks, 'get_world_size', lambda: processes)
    # BatchNorm2d has the pixels of one image, too.
    loader = DataLoader(range(13), batch_size=4)
    model = nn.Sequential(nn.ReLU(), nn.Sequential(norm(3)))
    if norm is nn.BatchNorm2d:
        checks.check_batches(loader, model)
        return
    with pytest.raises(ValueError, match='batch_size=4 .* one of the 13 im'):
        checks.check_batches(loader, model)


@pytest.mark.parametrize('processes', [1, 2])
@pytest.mark.parametrize('round_up', [False, True])
def test_processes_with_fewer_batches(monkeypatch, processes, round_up):
    monkeypatch.setattr(checks, 'get_world_size', lambda: processes)
    sampler = DefaultSampler(range(12), shuffle=False, round_up=round_up)
    loader = DataLoader(range(12), batch_size=4, sampler=sampler)
    if processes == 1 or round_up:
        checks.check_batches(loader, nn.Linear(2, 2))
        # nor does a sampler of another kind say anything of it
        checks.check_batches(DataLoader(range(12), 4), nn.Linear(2, 2))
        return
    with pytest.raises(ValueError, match='train_dataloader.sampler.round_up'):
        checks.check_batches(loader, nn.Linear(2, 2))


def test_a_stream_has_no_number_of_images():
    checks.check_batches(DataLoader(Stream(), 4), nn.BatchNorm1d(3))


def test_no_step_names_the_processes(monkeypatch):
    monkeypatch.setattr(checks, 'get_world_size', lambda: 2)
    loader = DataLoader(range(12), batch_size=13, drop_last=True)
    found = 'batch_size=13 .* batch of 12 images on 2 process'
    with pytest.raises(ValueError, match=found):
        checks.check_batches(loader, nn.Linear(2, 2))
