# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checks of a model against its training, before the first step."""

import logging
import math
from collections.abc import Sequence, Sized
from typing import Any, cast

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader


def global_batch_size(runner: Runner) -> int:
    """Return the images of a training step, over all processes.

    Raises:
        ValueError: If a custom batch sampler has no ``batch_size``.
    """
    loader = runner.train_dataloader
    size = loader.batch_size
    if size is None:
        size = getattr(loader.batch_sampler, 'batch_size', None)
    if size is None:
        raise ValueError(
            'train_dataloader.batch_sampler='
            f'{type(loader.batch_sampler).__name__} has no attribute '
            'batch_size: give it one, the images of a step on one process, by '
            'which queue, clusters and mixtures are checked.'
        )
    return size * get_world_size()


def check_clusters(num_clusters: Sequence[int], num_samples: int) -> None:
    """Refuse more clusters than there are images."""
    if max(num_clusters) > num_samples:
        largest = max(2, num_samples // 10)
        fitting = [max(2, largest // 4), max(2, largest // 2), largest]
        raise ValueError(
            f'model.num_clusters={list(num_clusters)} asks for '
            f'{max(num_clusters)} clusters of {num_samples} training images. '
            'Lower it to about one cluster for every 10 to 50 images: '
            f"--cfg-options model.num_clusters='{fitting}'"
        )


def check_queue(
    queue_len: int, batch_size: int, num_samples: float = math.inf
) -> None:
    """Refuse a queue shorter than a batch; warn of one longer than the data.

    Raises:
        ValueError: If a step would overwrite its own keys.
    """
    if batch_size > queue_len:
        raise ValueError(
            f'model.queue_len={queue_len} is smaller than the batch of '
            f'{batch_size} images over all processes, so that a step would '
            'overwrite its own keys. Raise model.queue_len or lower '
            'train_dataloader.batch_size.'
        )
    if queue_len > num_samples:
        print_log(
            f'model.queue_len={queue_len} exceeds the {num_samples} training '
            'images: the queue will hold keys of the very images that it '
            'serves as negatives for. Lower it.',
            logger='current',
            level=logging.WARNING,
        )


def smallest_batch(loader: DataLoader) -> int:
    """Return the images of the smallest step on one process; 0 for no step."""
    sampler, indices = cast(Any, (loader.batch_sampler, loader.sampler))
    images = len(indices)
    size: Any = loader.batch_size or getattr(sampler, 'batch_size', images)
    if not len(loader):
        return 0
    whole = getattr(sampler, 'drop_last', True)
    return size if whole else images % size or size


def check_batches(loader: DataLoader, model: nn.Module) -> None:
    """Refuse batches that are missing, unequal over processes, or too small.

    Raises:
        ValueError: If there is no step, ranks would wait for each other, or
            BatchNorm would see a single value.
    """
    key, images = 'train_dataloader', len(cast(Sized, loader.dataset))
    smallest = smallest_batch(loader)
    if not smallest and not isinstance(loader.sampler, InfiniteSampler):
        sampler = loader.batch_sampler
        size = loader.batch_size or getattr(sampler, 'batch_size', None)
        raise ValueError(
            f'{key}.batch_size={size} leaves no whole batch of {images} '
            f'images on {get_world_size()} process(es) with drop_last=True: '
            'there would be no step. Lower it.'
        )
    if smallest == 1 and any(
        isinstance(part, nn.BatchNorm1d) for part in model.modules()
    ):
        raise ValueError(
            f'{key}.batch_size={loader.batch_size} leaves a batch of one of '
            f'the {images} images, but BatchNorm needs several: set '
            f'{key}.drop_last=True, or change {key}.batch_size.'
        )
    if get_world_size() > 1 and not getattr(loader.sampler, 'round_up', True):
        raise ValueError(
            f'{key}.sampler.round_up must be True with several processes: '
            'they gather batches, and would wait for ever for one that has '
            'fewer.'
        )
