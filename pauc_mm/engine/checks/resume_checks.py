# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Compare the config of a resumed run with that of its checkpoint."""

import inspect
import logging
import re
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from pauc_mm.checkpoints.plain_config import parse_plain_config

_RESTORED = re.compile(  # from the checkpoint, whatever the config says
    r'param_scheduler|randomness\.(seed|diff_rank_seed)|auto_scale_lr'
    r'|optim_wrapper\.(optimizer|paramwise_cfg|constructor)'
    # Of another algorithm or loop the state means something else.
    r'|model\.type$|model\.prototypes\.type$|train_cfg\.(type|by_epoch)$'
)
_NO_EFFECT = re.compile(r'model\.(.*\.)?(init_cfg|pretrained)\b')
_UNIMPORTANT = re.compile(
    r'(work_dir|resume|load_from|launcher|experiment_name|log_level|env_cfg'
    r'|visualizer|log_processor|model_wrapper_cfg|default_scope'
    r'|default_hooks\.(logger|visualization|setup_check|divergence'
    r'|checkpoint_guard))(\.|$)'
    r'|.*\.(num_workers|pin_memory|persistent_workers|prefetch_factor)$'
    r'|.*\.(collate_fn|_scope_)(\.|$)'
)


def check_same_settings(text: str, cfg: Config) -> None:
    """Say of each setting that differs whether it takes effect.

    ``text`` is the config in the checkpoint, ``cfg`` that of the run.

    Raises:
        ValueError: If a setting would have no effect, since resuming takes
            the value from the checkpoint.
    """
    now = cfg.pretty_text
    if text == now:
        return
    try:
        old, new = (dict(_leaves(parse_plain_config(t))) for t in (text, now))
    except ValueError as error:
        _warn(f'The config of the checkpoint cannot be compared: {error}.')
        return
    lines, refused = [], []
    for key in old | new:
        if old.get(key) == new.get(key) or _UNIMPORTANT.match(key):
            continue
        line = f'{key}={new.get(key)!r}, in the checkpoint {old.get(key)!r}'
        if _RESTORED.match(key):
            refused.append(line)
        else:
            verb = 'has no' if _NO_EFFECT.match(key) else 'takes'
            lines.append(f'{line}: {verb} effect')
    if refused:
        raise ValueError(
            'A resumed run takes these from its checkpoint, so that they '
            f'would have no effect: {"; ".join(refused)}. Leave them as they '
            'were, or start a new run with load_from, in another work_dir.'
        )
    if lines:
        _warn('\n  '.join(['Resuming with other settings:', *lines]))


def check_same_steps(meta: dict, now: int, schedulers: Any) -> None:
    """Compare the steps of an epoch with those in the checkpoint.

    They change with the batch, the number of processes and the images. A
    checkpoint of an older version does not tell them in its ``meta``.

    Raises:
        ValueError: If the learning rate follows a schedule in steps.
    """
    if (old := meta.get('epoch_steps', now)) == now:
        return
    facts = (
        f'An epoch has {now} steps, in the checkpoint {old}: the batch, the '
        'number of processes or of images has changed'
    )
    if isinstance(schedulers, list) and any(
        not s.by_epoch and s.end > meta['iter'] for s in schedulers
    ):
        raise ValueError(
            f'{facts}, and the schedule of the checkpoint counts steps: it '
            'would end at another epoch. Resume with the same '
            'train_dataloader.batch_size, processes and images, or start a '
            'new run from its weights with load_from.'
        )
    _warn(f'{facts}.')


def check_same_images(clustered: bool) -> None:
    """Report images that are not the checkpoint's.

    Raises:
        ValueError: If they are ``clustered``, for the assignments of an E-step
            belong to the images.
    """
    fact = (
        'The names or contents of the images in train_dataloader.dataset are '
        'not those of the checkpoint.'
    )
    if clustered:
        raise ValueError(
            f'{fact} Its cluster assignments do not fit them: resume with the '
            'same images, or start a new run from its weights with load_from.'
        )
    _warn(f'{fact} The run goes on with them.')


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)


def _leaves(value: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Iterate over the settings that a Runner reads, with their paths."""
    if isinstance(value, dict):
        names = inspect.signature(Runner).parameters
        items = [(k, v) for k, v in value.items() if path or k in names]
    elif isinstance(value, (list, tuple)):
        items = list(enumerate(value))
    else:
        yield path[1:], value
        return
    for key, item in items:
        yield from _leaves(item, f'{path}.{key}')
