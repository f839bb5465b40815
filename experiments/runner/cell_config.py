# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The config of a cell, and a short text that changes when it does."""

from __future__ import annotations

import copy
import functools
import hashlib
import json

from mmengine.config import Config

from pauc_mm.utils.shipped_files import PREFIX, resolve_config

from .cell import Cell

_SCALED = ('begin', 'end', 'T_max', 'step_size')
# Of where and how it is run. The number of loading processes changes which
# augmentations are drawn, as another seed would, and not their distribution.
_LEFT_OUT = (
    'work_dir',
    'launcher',
    'resume',
    'log_level',
    'visualizer',
    'env_cfg',
)
_LEFT_OUT_EVERYWHERE = (
    'data_root',
    'num_workers',
    'persistent_workers',
    'pin_memory',
    'prefetch_factor',
)
# To be raised with a change of code by which the same config gives something
# else: stored results are then run again.
_REVISION = 2


def load_cell_config(cell: Cell) -> Config:
    """Read the recipe of a cell and make its changes.

    Args:
        cell (Cell): The cell.

    Returns:
        Config: Without ``work_dir`` unless the recipe has one.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If it cannot be shortened, see :func:`shorten`.
    """
    path = cell.config
    if path.startswith(PREFIX):
        path = resolve_config(path)
    cfg = copy.deepcopy(_read(path))
    cfg.merge_from_dict(copy.deepcopy(dict(cell.options)))
    if cell.epochs is not None:
        shorten(cfg, cell.epochs)
    return cfg


@functools.lru_cache(maxsize=256)
def _read(path: str) -> Config:
    return Config.fromfile(path)


def read_again() -> None:
    """Read the files of all configs anew: they may have been edited."""
    _read.cache_clear()


def config_digest(cell: Cell) -> str:
    """By what a stored result is recognised.

    Args:
        cell (Cell): The cell.

    Returns:
        str: 16 hexadecimal digits of the SHA-256 of the complete config,
        without what says where and how it is run, of the measure, and of the
        revision of the code.
    """
    content = load_cell_config(cell).to_dict()
    for key in _LEFT_OUT:
        content.pop(key, None)
    whole = dict(
        config=_pruned(content), measure=cell.measure, revision=_REVISION
    )
    text = json.dumps(whole, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _pruned(value):
    """A part of a config, without what is left out everywhere."""
    if isinstance(value, dict):
        return {
            key: _pruned(part)
            for key, part in value.items()
            if key not in _LEFT_OUT_EVERYWHERE
        }
    if isinstance(value, (list, tuple)):
        return [_pruned(part) for part in value]
    return value


def shorten(cfg: Config, epochs: int) -> None:
    """Make a recipe longer or shorter, its schedules in proportion.

    Args:
        cfg (Config): Changed in place.
        epochs (int): New ``train_cfg.max_epochs``.

    Raises:
        ValueError: If it is below 1, the recipe does not count in epochs, or
            a warm-up before the first E-step would leave no epoch.
    """
    old = (cfg.get('train_cfg') or {}).get('max_epochs')
    if not old or epochs < 1:
        raise ValueError(
            f'--epochs {epochs}: it must be at least 1, and the recipe must '
            f'have train_cfg.max_epochs, which is {old!r} in {cfg.filename}.'
        )
    factor = epochs / old

    def scaled(value: int) -> int:
        return round(value * factor)

    schedulers = cfg.get('param_scheduler') or []
    for scheduler in (
        schedulers if isinstance(schedulers, list) else [schedulers]
    ):
        if not scheduler.get('by_epoch', True):
            raise ValueError(
                f'--epochs {epochs}: a scheduler of {cfg.filename} counts '
                'iterations (param_scheduler.by_epoch=False); set its length '
                'by options instead.'
            )
        for key in _SCALED:
            if scheduler.get(key):
                scheduler[key] = max(1, scaled(scheduler[key]))
        if scheduler.get('milestones'):
            places = {max(1, scaled(m)) for m in scheduler['milestones']}
            scheduler['milestones'] = sorted(places)
    clustering = (cfg.get('default_hooks') or {}).get('clustering') or {}
    if clustering.get('warmup_epochs'):
        clustering['warmup_epochs'] = max(
            1, scaled(clustering['warmup_epochs'])
        )
        if clustering['warmup_epochs'] >= epochs:
            raise ValueError(
                f'--epochs {epochs} leaves no epoch after the warm-up of '
                f'{cfg.filename}: at least 2.'
            )
    prototypes = (cfg.get('model') or {}).get('prototypes') or {}
    if prototypes.get('warmup_epochs'):
        prototypes['warmup_epochs'] *= factor
    if prototypes.get('warmup_steps'):
        prototypes['warmup_steps'] = scaled(prototypes['warmup_steps'])
    swav = (cfg.get('default_hooks') or {}).get('swav') or {}
    if swav.get('epoch_queue_starts'):
        swav['epoch_queue_starts'] = max(1, scaled(swav['epoch_queue_starts']))
    frozen = swav.get('frozen_layers_cfg') or {}
    for layer, steps in frozen.items():
        frozen[layer] = max(1, scaled(steps))
    cfg.train_cfg['max_epochs'] = epochs
