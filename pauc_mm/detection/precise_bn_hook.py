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
    """Batches of the training set that leave those of the training alone.

    mmdet's batch samplers keep what is left of a batch: a second pass over
    the same one, while the first goes on, may never end.

    Args:
        loader (DataLoader): Of the training.
        seed (int): Of the order.
    """

    def __init__(self, loader: DataLoader, seed: int) -> None:
        theirs = loader.batch_sampler
        sampler = DefaultSampler(loader.dataset, shuffle=True, seed=seed)
        self.batch_size = theirs.batch_size
        self.loader = DataLoader(
            loader.dataset,
            batch_sampler=type(theirs)(
                sampler, theirs.batch_size, theirs.drop_last
            ),
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

    It takes the statistics of BatchNorm anew with the weights as they are,
    before the evaluation, as detectron2 does for MoCo (TEST.PRECISE_BN, 200
    steps).

    Args:
        num_samples (int): Images of all processes. Defaults to 8192.
        interval (int): Epochs, or steps where training is counted in steps.
            Defaults to 1.
    """

    def _perform_precise_bn(self, runner: Runner) -> None:
        update_bn_stats(
            runner.model,
            _Batches(runner.train_dataloader, runner.seed),
            self.num_samples,
            logger=runner.logger,
        )
