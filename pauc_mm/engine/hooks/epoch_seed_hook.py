# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from pauc_mm.engine.shared_seed import shared_seed
from pauc_mm.utils import derive_seed


def seed_worker(worker_id: int) -> None:
    """Seed a dataloader worker from the seed that torch gave it.

    torch draws that seed from the main process when an epoch starts. The
    worker function of mmengine, which this replaces, gives a worker the same
    seed in every epoch, so that augmentations repeat.
    """
    seed = torch.initial_seed()
    random.seed(seed)
    np.random.seed(seed % 2**32)


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Make the randomness of an epoch a function of (seed, epoch, rank).

    A run that is resumed at an epoch then sees the random numbers of a run
    that was never stopped, without any generator state in the checkpoint.
    Parts of the model that draw alike on all ranks are given the run's seed
    by their ``seed_run``.
    """

    priority = 'LOWEST'  # what other hooks draw before does not matter

    def before_train(self, runner: Runner) -> None:
        """Take over the seeding of sampler, workers and model parts."""
        # All ranks must divide the images, and draw negatives, alike.
        seed = shared_seed(runner)
        for module in get_ori_model(runner.model).modules():
            if hasattr(module, 'seed_run'):
                module.seed_run(seed)
        loader = runner.train_dataloader
        # The sampler was built before the checkpoint gave the run's seed.
        if hasattr(loader.sampler, 'seed'):
            loader.sampler.seed = seed
        if loader.num_workers == 0:
            return
        loader.worker_init_fn = seed_worker
        if loader.persistent_workers:
            runner.logger.warning(
                'train_dataloader.persistent_workers=True keeps the random '
                'state of the workers from epoch to epoch, so that a resumed '
                'run sees other augmentations. Set it to False for exact '
                'resuming.'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed python, numpy and torch."""
        seed = derive_seed(runner.seed, runner.epoch, get_rank())
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
