# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.utils import get_ori_model

from pauc_mm.datasets.dataset_views import base_dataset, fingerprint
from pauc_mm.models.pcl import PCL
from pauc_mm.utils import raise_together

from .global_batch import global_batch_size
from .mixture_checks import check_mixture_begins

if TYPE_CHECKING:
    from pauc_mm.engine.hooks.clustering_hook import ClusteringHook


def check_clustering_setup(hook: ClusteringHook, runner: Runner) -> None:
    """Everything that can be known to fail before the first epoch.

    Args:
        hook (ClusteringHook): The hook.
        runner (Runner): The runner, its loop built.

    Raises:
        TypeError: If the model has no prototypes, or the loop no epochs.
        ValueError: If the model makes no E-step, or sizes do not fit each
            other; the message names key, value and fix.
        ImportError: If faiss is missing.
        RuntimeError: If the asked-for clustering device is missing.
    """
    model = get_ori_model(runner.model)
    if not isinstance(model, PCL):
        raise TypeError(
            f'ClusteringHook serves PCL and PAUC, but the model is a '
            f'{type(model).__name__}: remove default_hooks.clustering.'
        )
    refuse_without_e_step(model)
    num_samples = len(base_dataset(runner.train_dataloader.dataset))
    _check_clusters(model, num_samples)
    _check_epochs(hook, runner)
    _check_batches(model, runner, num_samples)
    if hasattr(hook.kmeans, 'gpu_id'):
        device = hook.kmeans.gpu_id()
        where = 'the CPU' if device is False else f'CUDA device {device}'
        if device is not False and hasattr(hook.kmeans, 'gpu_memory'):
            dim = model.queue.shape[0]
            needed = hook.kmeans.gpu_memory(max(model.num_clusters), dim)
            where += f' and take about {needed / 2**20:.0f} MiB there'
        runner.logger.info(f'k-means will run on {where}.')
        _try_gpu(hook, device, model.queue.shape[0])
        if device is False and torch.cuda.is_available():
            runner.logger.warning(
                'Training runs on a GPU, but k-means will not: install the '
                'faiss-gpu wheel (requirements/gpu.txt). On a CPU it takes '
                'hours for a million images and 100,000 clusters; other '
                'processes wait env_cfg.dist_cfg.timeout seconds at most.'
            )
    _say_what_to_expect(hook, model, runner, num_samples)


def _try_gpu(hook: ClusteringHook, device: int | bool, dim: int) -> None:
    """Cluster a little, so that a fault shows before the warm-up.

    Where faiss has no kernels for a GPU, or the driver is too old for it, it
    ends the process instead of raising an error. A collective call: not all
    ranks need have a GPU that faiss sees.
    """
    error = None
    try:
        if device is not False:
            hook.kmeans.fit(np.eye(dim, dtype=np.float32), 2, 0)
    except Exception as caught:
        error = caught
    raise_together(error, 'Trying k-means on the GPU')


def refuse_without_e_step(model: PCL) -> None:
    """Refuse a model whose prototypes need no E-step.

    Raises:
        ValueError: If its prototypes are online.
    """
    if model.online:
        raise ValueError(
            "model.prototypes='online_gmm' learns in every step and has no "
            'E-step, but default_hooks.clustering is set. Remove that '
            '(inherit configs/_base_/default_runtime.py, not '
            "clustering_runtime.py), or set model.prototypes='kmeans'."
        )


def check_online_setup(model: PCL, runner: Runner) -> None:
    """What would fail, or be of no use, with prototypes without an E-step.

    Args:
        model (PCL): With online prototypes.
        runner (Runner): The runner, its loop built.

    Raises:
        ValueError: If sizes do not fit each other; the message names key,
            value and fix.
    """
    num_samples = len(base_dataset(runner.train_dataloader.dataset))
    _check_clusters(model, num_samples)
    _check_batches(model, runner, num_samples)
    _warn_of_few(model, runner, num_samples)
    prototypes = model.prototypes
    prototypes.count_epochs(len(runner.train_dataloader))
    if prototypes.ready:  # resumed
        return
    check_mixture_begins(
        runner,
        prototypes.init_samples,
        global_batch_size(runner),
        prototypes.warmup_steps,
    )


def _check_clusters(model: PCL, num_samples: int) -> None:
    too_many = [k for k in model.num_clusters if k > num_samples]
    if too_many:
        largest = max(2, num_samples // 10)
        fitting = [max(2, largest // 4), max(2, largest // 2), largest]
        raise ValueError(
            f'model.num_clusters={list(model.num_clusters)} asks for '
            f'{max(too_many)} clusters of {num_samples} training images. '
            'Lower it to about one cluster for every 10 to 50 images: '
            f"--cfg-options model.num_clusters='{fitting}'"
        )


def _check_epochs(hook: ClusteringHook, runner: Runner) -> None:
    if not isinstance(runner.train_loop, EpochBasedTrainLoop):
        raise TypeError(
            'The E-step is made before epochs, but train_cfg.type is '
            f'{type(runner.train_loop).__name__}: use EpochBasedTrainLoop.'
        )
    if hook.warmup_epochs >= runner.max_epochs:
        raise ValueError(
            f'default_hooks.clustering.warmup_epochs={hook.warmup_epochs} '
            f'is not below train_cfg.max_epochs={runner.max_epochs}: the '
            'prototypes would never be used. The papers warm up for a tenth '
            'of the run, here '
            f'{runner.max_epochs // 10}.'
        )
    if hook.warmup_epochs + hook.ramp_epochs > runner.max_epochs:
        raise ValueError(
            f'default_hooks.clustering.ramp_epochs={hook.ramp_epochs} after '
            f'warmup_epochs={hook.warmup_epochs} is more than '
            f'train_cfg.max_epochs={runner.max_epochs}: the prototype losses '
            'would never have their whole weight. Set ramp_epochs to '
            f'{runner.max_epochs - hook.warmup_epochs} at most.'
        )


def _check_batches(model: PCL, runner: Runner, num_samples: int) -> None:
    loader = runner.train_dataloader
    batch_size = global_batch_size(runner)
    if batch_size > model.queue_len:
        raise ValueError(
            f'model.queue_len={model.queue_len} is smaller than the batch of '
            f'{batch_size} images over all processes, so that a step would '
            'overwrite its own keys. Raise model.queue_len or lower '
            'train_dataloader.batch_size.'
        )
    if not len(loader):
        raise ValueError(
            f'train_dataloader.batch_size={loader.batch_size} leaves no '
            f'whole batch of {num_samples} images on {get_world_size()} '
            'process(es) with drop_last=True. Lower it.'
        )
    if get_world_size() > 1 and not getattr(loader.sampler, 'round_up', True):
        raise ValueError(
            'train_dataloader.sampler.round_up must be True with several '
            'processes: they gather batches, and would wait for ever for one '
            'that has fewer.'
        )


def _warn_of_few(model: PCL, runner: Runner, num_samples: int) -> None:
    logger = runner.logger
    batch_size = global_batch_size(runner)
    if model.queue_len > num_samples:
        logger.warning(
            f'model.queue_len={model.queue_len} exceeds the {num_samples} '
            'training images: the queue will hold keys of the very images '
            'that it serves as negatives for. Lower it.'
        )
    wanted = model.proto_head.num_negatives
    few = [k for k in model.num_clusters if wanted > k - batch_size]
    if few:
        logger.warning(
            f'model.proto_head.num_negatives={wanted}, but a batch of '
            f'{batch_size} can leave fewer prototypes of K={few}: then all '
            'that are left serve as negatives.'
        )


def _say_what_to_expect(
    hook: ClusteringHook, model: PCL, runner: Runner, num_samples: int
) -> None:
    logger = runner.logger
    _warn_of_few(model, runner, num_samples)
    least = getattr(hook.kmeans, 'min_points_per_centroid', 0)
    small = [k for k in model.num_clusters if num_samples < least * k]
    if small:
        logger.warning(
            f'K={small} leaves fewer than kmeans.min_points_per_centroid='
            f'{least} of the {num_samples} images to a cluster: many '
            'clusters will be singletons.'
        )
    dim = model.queue.shape[0]
    logger.info(
        f'E-step before epoch {hook.warmup_epochs + 1} and then every '
        f'{hook.interval} epoch(s): {num_samples} embeddings of '
        f'{dim} dimensions ({num_samples * dim * 4 / 2**20:.1f} MiB a '
        f'process), K={list(model.num_clusters)}.'
    )
    if hook.features == 'momentum_bank':
        rows = len(runner.train_dataloader.sampler)
        logger.info(
            f'The momentum bank takes {rows * dim * 4 / 2**20:.1f} MiB on the '
            'device of each process in the epoch before an E-step.'
        )


def check_same_setup(runner: Runner, state: dict, num_clusters) -> None:
    """Whether the prototypes of a checkpoint fit this run.

    Args:
        runner (Runner): The runner.
        state (dict): The entry ``clustering`` of the checkpoint.
        num_clusters (Sequence[int]): K of each clustering of the model.

    Raises:
        ValueError: If they were made on other images or with another K.
    """
    if tuple(state['num_clusters']) != tuple(num_clusters):
        raise ValueError(
            'model.num_clusters is '
            f'{list(num_clusters)}, but the checkpoint was written with '
            f'{list(state["num_clusters"])}. Resume with the same value, or '
            'use load_from to start a new run from its weights.'
        )
    own = fingerprint(runner.train_dataloader.dataset)
    if state['fingerprint'] != own:
        raise ValueError(
            'The checkpoint was written on another training set (samples: '
            f'{state["num_samples"]}, now '
            f'{len(base_dataset(runner.train_dataloader.dataset))}; names or '
            'pixels of some are compared too), so its cluster assignments do '
            'not fit. '
            'Resume with the same train_dataloader.dataset, or use load_from '
            'to start a new run from its weights.'
        )
