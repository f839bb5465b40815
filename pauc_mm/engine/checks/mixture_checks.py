# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner


def check_mixture_begins(
    runner: Runner, init_samples: int, per_step: int, warmup_steps: int = 0
) -> None:
    """Say when online mixtures will begin, and refuse if they never will.

    Args:
        runner (Runner): The runner, its loop built.
        init_samples (int): Embeddings that they begin with.
        per_step (int): Embeddings that a training step gives, of all ranks.
        warmup_steps (int): Steps before the first is collected. Defaults to
            0.

    Raises:
        ValueError: If the training ends before.
    """
    collecting = math.ceil(init_samples / per_step)
    done, steps = runner.iter, runner.max_iters  # resumed, perhaps
    begin = done + max(warmup_steps - done, 0) + collecting
    warmup = (
        f'model.mixture.warmup_steps={warmup_steps}, then '
        if warmup_steps
        else ''
    )
    epochs = begin / len(runner.train_dataloader)
    facts = (
        f'Online mixtures begin after {begin} steps or {epochs:.3g} epochs '
        f'({warmup}{collecting} '
        f'for model.mixture.init_samples={init_samples})'
    )
    if begin >= steps:
        raise ValueError(
            f'{facts}, but the training has {steps}: their prototypes would '
            'never be used. Lower model.mixture.init_samples, which must not '
            'be below the number of prototypes, or train for longer.'
        )
    runner.logger.info(f'{facts} of {steps}.')
    period = _steps_between_checkpoints(runner)
    if period and (begin - 1) // period > (begin - collecting) // period:
        runner.logger.warning(
            f'{facts}, and a checkpoint every {period} steps: one is written '
            'while samples are collected, and does not hold them. A run that '
            'is resumed from it collects them anew. For exact resuming lower '
            'model.mixture.init_samples or write checkpoints elsewhere.'
        )


def _steps_between_checkpoints(runner: Runner) -> int:
    """Steps from one checkpoint to the next, 0 if none is written."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.interval > 0:
            epoch = len(runner.train_dataloader) if hook.by_epoch else 1
            return hook.interval * epoch
    return 0
