# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checks of an E-step before the first epoch, and after resuming."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.dist import get_world_size
from mmengine.logging import print_log

from pauc_mm.utils import Shard, raise_together


def check_schedule(
    warmup_epochs: int, ramp_epochs: int, max_epochs: int
) -> None:
    """Refuse a warm-up or ramp that is longer than the training."""
    key = 'default_hooks.clustering'
    if warmup_epochs >= max_epochs:
        raise ValueError(
            f'{key}.warmup_epochs={warmup_epochs} is not below train_cfg.'
            f'max_epochs={max_epochs}: the prototypes would never be used. '
            'The papers warm up for a tenth of the run, here '
            f'{max_epochs // 10}.'
        )
    if warmup_epochs + ramp_epochs > max_epochs:
        raise ValueError(
            f'{key}.ramp_epochs={ramp_epochs} after warmup_epochs='
            f'{warmup_epochs} is more than train_cfg.max_epochs={max_epochs}: '
            'the prototype losses would never have their whole weight. Set '
            f'ramp_epochs to {max_epochs - warmup_epochs} at most.'
        )


def check_kmeans_device(
    kmeans: Any,
    num_clusters: Sequence[int],
    dim: int,
    num_held: int = 0,
    why: str = '',
) -> None:
    """Try k-means where it will run, and log where; a collective call.

    Where faiss has no kernels for a GPU, or the driver is too old for it, it
    ends the process instead of raising an error: that must show before the
    warm-up. Not all ranks need have a GPU that faiss sees. ``num_held`` are
    the embeddings of a rank, and ``why`` says why it is this clusterer.

    Raises:
        ImportError: If faiss is missing.
        RuntimeError: If the device is missing, or k-means fails on it.
    """
    k, level = max(num_clusters), logging.INFO
    if getattr(kmeans, 'sharded', False):
        device = get_device()
        kmeans.fit(Shard.of(torch.eye(dim, device=device)), 1, 0)
        mib = kmeans.memory(num_held, k, dim) / 2**20
        where = (
            f'the {device} of each of {get_world_size()} process(es) and take '
            f'at most {mib:.0f} MiB there'
        )
    elif hasattr(kmeans, 'gpu_id'):
        where, level = _check_faiss(kmeans, k, dim)
    else:
        return
    name = f'{type(kmeans).__name__} ({why})' if why else 'k-means'
    print_log(f'{name} will run on {where}.', logger='current', level=level)


def _check_faiss(kmeans: Any, k: int, dim: int) -> tuple[str, int]:
    """Try faiss; return where it runs, and the level of the log."""
    device, error = kmeans.gpu_id(), None
    try:
        if device is not False:
            points = np.eye(max(dim, 2), dim, dtype=np.float32)
            kmeans.fit(points, 2, 0)
    except Exception as caught:
        error = caught
    raise_together(error, 'Trying k-means on the GPU')
    if device is not False:
        mib = kmeans.gpu_memory(k, dim) / 2**20
        where = f'CUDA device {device} and take about {mib:.0f} MiB there'
        return where, logging.INFO
    if not torch.cuda.is_available():
        return 'the CPU', logging.INFO
    return (
        'the CPU, although training runs on a GPU. It takes hours for a '
        'million images and 100,000 clusters; other processes wait '
        'env_cfg.dist_cfg.timeout seconds at most. Take '
        "kmeans.type='ShardedKMeans', or faiss-gpu in place of faiss-cpu "
        '(docs/install.md)',
        logging.WARNING,
    )


def check_same_clustering(state: dict, current: dict) -> None:
    """Refuse prototypes of a checkpoint of other images or another K."""
    saved, wanted = list(state['num_clusters']), current['num_clusters']
    if saved != wanted:
        raise ValueError(
            f'model.num_clusters is {wanted}, but the checkpoint was written '
            f'with {saved}. Resume with the same value, or use load_from to '
            'start a new run from its weights.'
        )
    if state['fingerprint'] != current['fingerprint']:
        raise ValueError(
            'The checkpoint was written on another training set (samples: '
            f'{state["num_samples"]}, now {current["num_samples"]}; names or '
            'pixels of some are compared too), so its cluster assignments do '
            'not fit. Resume with the same train_dataloader.dataset, or use '
            'load_from to start a new run from its weights.'
        )
