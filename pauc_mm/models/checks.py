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
    size = _batch_size(loader)
    if size is None:
        raise ValueError(
            'train_dataloader.batch_sampler='
            f'{type(loader.batch_sampler).__name__} has no attribute '
            'batch_size: give it one, the images of a step on one process.'
        )
    return size * get_world_size()


def _batch_size(loader: DataLoader) -> Any:
    if loader.batch_size is not None:
        return loader.batch_size
    return getattr(loader.batch_sampler, 'batch_size', None)


def check_clusters(num_clusters: Sequence[int], num_samples: int) -> None:
    """Refuse more clusters than there are images."""
    if max(num_clusters) > num_samples:
        raise ValueError(
            f'model.num_clusters={list(num_clusters)} exceeds {num_samples} '
            'training images. Take about one cluster for every 10 to 50.'
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
            'images, which would be their own negatives. Lower it.',
            logger='current',
            level=logging.WARNING,
        )


def smallest_batch(loader: DataLoader) -> int:
    """Return the images of the smallest step on one process; 0 for no step."""
    if isinstance(loader.sampler, InfiniteSampler):
        return _batch_size(loader)
    if not len(loader):
        return 0
    images = len(cast(Sized, loader.sampler))
    size = _batch_size(loader) or images
    whole = getattr(loader.batch_sampler, 'drop_last', True)
    return size if whole else images % size or size


def check_batches(loader: DataLoader, model: nn.Module) -> None:
    """Refuse batches that are missing, unequal over processes, or too small.

    Raises:
        ValueError: If there is no step, ranks would wait for each other, or
            BatchNorm would see a single value.
    """
    if not isinstance(loader.dataset, Sized):
        return
    key, images = 'train_dataloader', len(loader.dataset)
    smallest = smallest_batch(loader)
    if not smallest:
        raise ValueError(
            f'{key}.batch_size={_batch_size(loader)} leaves no whole batch of '
            f'{images} images on {get_world_size()} process(es) with '
            'drop_last=True: there would be no step. Lower it.'
        )
    normed = any(isinstance(m, nn.BatchNorm1d) for m in model.modules())
    if smallest == 1 and normed:
        raise ValueError(
            f'{key}.batch_size={loader.batch_size} leaves a batch of one of '
            f'the {images} images, but BatchNorm needs several: set '
            f'{key}.drop_last=True, or change {key}.batch_size.'
        )
    if get_world_size() > 1 and not getattr(loader.sampler, 'round_up', True):
        raise ValueError(
            f'{key}.sampler.round_up must be True with several processes: '
            'they would wait for ever for one that has fewer batches.'
        )
