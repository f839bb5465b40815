# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

from mmengine.dist import get_rank
from torch import nn

from pauc_mm.hooks import EpochSeedHook
from tests.helpers import run_ranks


def sampler_seed():
    """Of a rank, in a run with randomness.diff_rank_seed."""
    loader = SimpleNamespace(sampler=SimpleNamespace(seed=0), num_workers=0)
    runner = SimpleNamespace(
        model=nn.Identity(), seed=7 + get_rank(), train_dataloader=loader
    )
    EpochSeedHook().before_train(runner)
    return loader.sampler.seed


def test_ranks_with_seeds_of_their_own_share_the_images_out_alike(tmp_path):
    assert sampler_seed() == 7
    assert run_ranks(sampler_seed, 2, tmp_path) == [7, 7]
