# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator

from mmengine.dataset import DefaultSampler
from mmengine.runner import Runner
from mmpretrain.engine.hooks.precise_bn_hook import (
    PreciseBNHook,
    update_bn_stats,
)
from mmpretrain.registry import HOOKS
from torch.utils.data import DataLoader


class _Batches:
    """Second loader over the training set, with a batch sampler of its own.

    mmdet's batch samplers keep unfinished batches: a second pass over the same
    one, while the first goes on, may never end.
    """

    def __init__(self, loader: DataLoader, seed: int) -> None:
        original = loader.batch_sampler
        sampler = DefaultSampler(loader.dataset, shuffle=True, seed=seed)
        self.batch_size = original.batch_size
        batches = type(original)(
            sampler, original.batch_size, original.drop_last
        )
        self.loader = DataLoader(
            loader.dataset,
            batch_sampler=batches,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            worker_init_fn=loader.worker_init_fn,
            pin_memory=loader.pin_memory,
        )

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator:
        return iter(self.loader)


@HOOKS.register_module()
class DetectorPreciseBNHook(PreciseBNHook):
    """mmpretrain's PreciseBNHook for detectors.

    It recomputes the statistics of BatchNorm with the current weights before
    the evaluation, as detectron2 does for MoCo (TEST.PRECISE_BN, 200 steps).

    Args:
        num_samples (int): Images of all processes. Defaults to 8192.
        interval (int): Epochs, or steps where training is counted in steps.
    """

    def _perform_precise_bn(self, runner: Runner) -> None:
        update_bn_stats(
            runner.model,
            _Batches(runner.train_dataloader, runner.seed),
            self.num_samples,
            logger=runner.logger,
        )
