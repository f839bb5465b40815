# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import random
from types import SimpleNamespace

import pytest
import torch
from mmengine.dist import get_rank
from mmengine.runner import Runner
from torch import nn

from pauc_mm.engine.hooks import EpochSeedHook
from tests.helpers import run_cfg, run_ranks


class Told(nn.Module):
    """Part of a model that draws from a seed of its own."""

    def seed_run(self, seed):
        self.seed = seed


def sampler_seed():
    """Seed of a rank's sampler with randomness.diff_rank_seed."""
    loader = SimpleNamespace(sampler=SimpleNamespace(seed=0), num_workers=0)
    runner = SimpleNamespace(
        model=nn.Sequential(nn.Identity(), nn.Sequential(Told())),
        seed=7 + get_rank(),
        train_dataloader=loader,
    )
    EpochSeedHook().before_train(runner)
    return loader.sampler.seed, runner.model[1][0].seed


@pytest.mark.slow
def test_ranks_with_seeds_of_their_own_share_the_images_out_alike(tmp_path):
    assert sampler_seed() == (7, 7)
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
