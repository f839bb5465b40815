# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dist import get_rank
from mmengine.runner import Runner
from torch import nn

from pauc_mm.engine.hooks import EpochSeedHook, epoch_seed_hook
from pauc_mm.utils import derive_seed
from tests.helpers import run_cfg, run_ranks


class Told(nn.Module):
    """Part of a model that draws from a seed of its own."""

    def seed_run(self, seed):
        self.seed = seed


def sampler_seed():
    """Seed of a rank's sampler with randomness.diff_rank_seed."""
    loader = SimpleNamespace(sampler=SimpleNamespace(seed=0), num_workers=0)
    runner = SimpleNamespace(
        model=nn.Sequential(Told(), nn.Sequential(Told())),
        seed=7 + get_rank(),
        train_dataloader=loader,
    )
    EpochSeedHook().before_train(runner)
    first, second = runner.model[0].seed, runner.model[1][0].seed
    assert first == second
    return loader.sampler.seed, second


def test_sampler_and_parts_of_the_model_draw_from_one_seed(monkeypatch):
    assert sampler_seed() == (7, 7)
    monkeypatch.setattr(epoch_seed_hook, 'shared_seed', lambda runner: 11)
    assert sampler_seed() == (11, 11)


@pytest.mark.slow
def test_ranks_with_seeds_of_their_own_share_the_images_out_alike(tmp_path):
    assert run_ranks(sampler_seed, 2, tmp_path) == [(7, 7), (7, 7)]


def test_epochs_differ_from_each_other():
    class Runner:
        seed, epoch = 7, 0

    draws = []
    for Runner.epoch in range(3):
        EpochSeedHook().before_train_epoch(Runner)
        draws.append((random.random(), torch.rand(1).item()))
    assert len(set(draws)) == 3


def first_batches(work_dir, epochs=3):
    cfg = run_cfg(
        work_dir, max_epochs=epochs, **{'train_dataloader.num_workers': 2}
    )
    cfg.train_dataloader.sampler.shuffle = False  # the same images each time
    runner = Runner.from_cfg(cfg)
    batches, original = [], runner.model.train_step

    def step(data, *args, **kwargs):
        if runner.iter % 3 == 0:
            batches.append(data['inputs'][0].clone())
        return original(data, *args, **kwargs)

    runner.model.train_step = step
    runner.train()
    return batches


@pytest.mark.slow
def test_workers_augment_anew_in_every_epoch(tmp_path):
    # mmengine's own worker function gives them the same seed in each, which
    # the comparison with an uninterrupted run would not notice.
    batches = first_batches(tmp_path)
    assert len(batches) == 3
    assert not torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[1], batches[2])


@pytest.mark.parametrize(
    'seed, epoch, rank', [(7, 0, 0), (7, 3, 2), (0, 1, 1)]
)
def test_the_streams_of_an_epoch(monkeypatch, seed, epoch, rank):
    monkeypatch.setattr(epoch_seed_hook, 'get_rank', lambda: rank)
    EpochSeedHook().before_train_epoch(SimpleNamespace(seed=seed, epoch=epoch))
    seed = derive_seed(seed, epoch, rank)
    assert random.random() == random.Random(seed).random()
    assert np.random.rand() == np.random.RandomState(seed).rand()
    generator = torch.Generator().manual_seed(seed)
    assert torch.equal(torch.rand(3), torch.rand(3, generator=generator))


@pytest.mark.parametrize('seed', [3, 2**40 + 2**31 + 3])
def test_the_streams_of_a_worker(seed):
    torch.manual_seed(seed)  # as torch does in a worker
    epoch_seed_hook.seed_worker(1)
    assert random.random() == random.Random(seed).random()
    # numpy takes no more than 32 bits.
    expected = np.random.RandomState(seed % 2**32).rand()
    assert np.random.rand() == expected


@pytest.mark.parametrize(
    'workers, persistent, told',
    [(0, False, None), (1, False, False), (2, True, True)],
)
def test_workers_are_seeded_where_there_are_any(workers, persistent, told):
    lines = []
    loader = SimpleNamespace(
        sampler=SimpleNamespace(), num_workers=workers, worker_init_fn=None
    )
    if workers:
        loader.persistent_workers = persistent
    runner = SimpleNamespace(
        model=nn.Identity(),
        seed=7,
        train_dataloader=loader,
        logger=SimpleNamespace(warning=lines.append),
    )
    EpochSeedHook().before_train(runner)
    own = epoch_seed_hook.seed_worker if workers else None
    assert loader.worker_init_fn is own
    assert len(lines) == bool(told) and not vars(loader.sampler)
    if told:
        assert 'train_dataloader.persistent_workers=True' in lines[0]
