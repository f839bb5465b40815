# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Plan a training from its config, or one that is about to begin."""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process
from mmengine.runner import Runner
from mmpretrain.utils import get_ori_model
from torch import nn

from pauc_mm.clustering import build_kmeans
from pauc_mm.datasets.dataset_views import base_dataset
from pauc_mm.embedding.dataset import undisturbed
from pauc_mm.utils.tables import markdown_table

from .costs import forward_pass, is_sharded
from .speeds import (
    GPUS,
    KMEANS_EFFICIENCY,
    Speeds,
    kmeans_speed,
    loading_speed,
    network_speed,
)
from .training import Images, Plan, Training

# Units by the end of a key; a value takes the first that it fills twice.
_UNITS = dict(
    bytes=((2**40, 'TiB'), (2**30, 'GiB'), (2**20, 'MiB'), (2**10, 'KiB')),
    flops=((1e18, 'EFLOP'), (1e15, 'PFLOP'), (1e12, 'TFLOP'), (1e9, 'GFLOP')),
    seconds=((86400, 'days'), (3600, 'h'), (60, 'min'), (1, 's')),
    share=((0.01, '%'),),
)


def plan_training(
    cfg: Config,
    model: nn.Module,
    hook: Any,
    loaders: Sequence[Callable[[int], dict]],
    images: Sequence[Images],
    ranks: int,
    gpu: str | None = None,
) -> tuple[list[Plan], str]:
    """Measure speeds, and plan a training on one or more sets of images.

    Args:
        cfg (Config): Its config.
        model (nn.Module): Built from it, in eval mode, on its device.
        hook (ClusteringHook, optional): Makes the E-step, if there is one.
        loaders (Sequence[callable]): Load an image by its index for training
            and for the E-step.
        images (Sequence[Images]): Sizes of the training sets.
        ranks (int): Processes.
        gpu (str, optional): Key of :data:`.speeds.GPUS`, in place of the
            model's device.

    Returns:
        tuple[list[Plan], str]: Numbers by group, and what the speeds rest on.
        Memory, operations (a multiplication and an addition are two) and
        seconds are those of one rank; keys end in their unit, such as
        ``_bytes``.

    Raises:
        ValueError: If an epoch has no step, or there are more clusters than
            images.
    """
    (load, views), (load_whole, (whole, *_)) = map(loading_speed, loaders)
    passes = {shape: forward_pass(model, shape) for shape in {*views, whole}}
    passes[None] = passes[whole]
    device = next(model.parameters()).device
    on_gpu = gpu is not None or device.type == 'cuda'
    wrapper = cfg.optim_wrapper
    half = wrapper.get('dtype', 'float16' if on_gpu else 'bfloat16')
    amp = half if 'Amp' in wrapper.get('type', '') else None
    embed_amp = getattr(hook, 'amp_dtype', None)
    cpu = f'this CPU, {torch.get_num_threads()} thread(s) a process'
    here = torch.cuda.get_device_name(device) if device.type == 'cuda' else cpu
    if gpu is None:
        network, embedding = (
            passes[None].flops * network_speed(model, whole, *options)
            for options in (
                (cfg.train_dataloader.get('batch_size', 1), amp, True),
                (getattr(hook, 'batch_size', 1), embed_amp, False),
            )
        )
        origin = f'the network on {here}, just now'
    else:
        full, mixed, peak = GPUS[gpu]
        network, embedding = (mixed if a else full for a in (amp, embed_amp))
        origin = "the network as in NVIDIA's published training of ResNet-50 "
        origin += f'on 8 {gpu}'
    kmeans, kmeans_rate = None, math.nan
    if hook is not None:
        kmeans, why = build_kmeans(
            cfg.default_hooks.clustering.get('kmeans'), ranks, on_gpu
        )
        by_gpu = on_gpu and (is_sharded(kmeans) or _faiss_has_gpu(kmeans))
        origin += f'; {type(kmeans).__name__} ({why}) '
        if by_gpu and gpu is not None:
            kmeans_rate = peak * KMEANS_EFFICIENCY
            origin += f"at {KMEANS_EFFICIENCY:.0%} of the {gpu}'s peak in "
            origin += 'float32, an assumption'
        else:
            place = device if by_gpu else torch.device('cpu')
            largest, dim = max(model.num_clusters), model.prototypes.dim
            kmeans_rate = kmeans_speed(largest, dim, place)
            origin += f'on {here if by_gpu else cpu}, just now'
    if hasattr(getattr(model, 'data_preprocessor', None), 'take_over'):
        origin += '; augmentation on the device is not counted'
    origin += '; loading on a core of this machine, just now'
    cores = None if gpu else os.cpu_count()
    speeds = Speeds(network, embedding, kmeans_rate, load, load_whole, cores)
    training = Training(cfg, model, hook, kmeans, ranks, views, passes, speeds)
    return [training.plan(number) for number in images], origin


def _faiss_has_gpu(kmeans: Any) -> bool:
    return torch.cuda.is_available() and kmeans.gpu_id() is not False


def log_plan(runner: Runner, hook: Any) -> None:
    """Log what a training with an E-step will cost.

    It takes about half a second. Random streams, weights and modes stay as
    they are.
    """
    if not is_main_process():
        return
    model = get_ori_model(runner.model)
    training = model.training
    try:
        train = runner.train_dataloader.dataset
        images = Images(len(base_dataset(train)), len(train))
        loaders = [
            lambda i: train[i * 7919 % images.an_epoch],
            lambda i: hook.dataset[i * 7919 % images.number],
        ]
        with undisturbed(model):
            (plan,), origin = plan_training(
                *(runner.cfg, model.eval(), hook, loaders),
                *([images], get_world_size()),
            )
        lines = ['What it will cost, for each process:', *as_lines(plan)]
        runner.logger.info('\n  '.join([*lines, f'speeds of {origin}']))
    except Exception as error:  # a training needs no plan
        text = f'{type(error).__name__}: {error}'
        runner.logger.warning(f'The cost could not be estimated: {text}')
    finally:
        model.train(training)


def as_lines(plan: Plan) -> list[str]:
    """Return a line for each group of a plan, for a log."""
    lines = []
    for group, values in plan.items():
        shown = [
            f'{_title(key)} {readable(key, value)}'
            for key, value in values.items()
            if not key.endswith('_flops')
        ]
        lines.append(f'{_title(group)}: {", ".join(shown)}')
    return lines


def as_table(plans: Sequence[Plan]) -> str:
    """Return a Markdown table with a column for each plan."""
    rows = [
        [
            f'{_title(group)}: {_title(key)}',
            *(readable(key, plan[group][key]) for plan in plans),
        ]
        for group, values in plans[0].items()
        for key in values
    ]
    return markdown_table(['', *['' for _ in plans]], rows)


def _title(key: str) -> str:
    name, _, unit = key.rpartition('_')
    name = name if unit in _UNITS else key
    return name.replace('e_step', 'E-step').replace('_', ' ')


def readable(key: str, value: Any) -> str:
    """Format a value by the unit at the end of its key."""
    if isinstance(value, list):
        return ', '.join(f'{item:,}' for item in value)
    units = _UNITS.get(key.rpartition('_')[2], ((1, ''),))
    size, name = next((u for u in units if value >= 2 * u[0]), units[-1])
    number = value / size
    whole = number >= 100 or isinstance(value, int) and size == 1
    text = f'{number:,.0f}' if whole else f'{number:.3g}'
    return f'{text} {name}'.strip()
