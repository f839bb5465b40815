# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
from mmengine.dist import get_rank
from torch import nn

from pauc_mm.engine.hooks import EpochSeedHook
from tests.helpers import run_ranks


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
