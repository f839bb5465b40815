# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Runs that train a config and measure the model."""

from __future__ import annotations

import copy
import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_rank, get_world_size
from mmengine.runner import Runner

from pauc_mm.apis import config as cli
from pauc_mm.evaluation.functional.checks import NoDirectionError
from pauc_mm.utils.shipped_files import PREFIX, resolve_config

from .progress_hook import ProgressHook
from .run import Run, find_object
from .store import RunFolder

_SCALED = ('begin', 'end', 'T_max', 'step_size')
# Where and how a config is run. The number of loading processes changes which
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
# Raise with a change of code after which the same config gives other results:
# stored ones are then run again.
_REVISION = 2
VALIDATE = 'experiments.runner.config_run:validate'


@dataclass(frozen=True)
class ConfigRun(Run):
    """Train a config with some changes, and measure the model.

    Args:
        name (str): See :class:`Run`.
        setting (Mapping): See :class:`Run`.
        config (str): File, or ``pauc_mm::NAME`` for a shipped one.
        options (Mapping): Changes of the config, as by ``--cfg-options``;
            the seed among them.
        epochs (int, optional): Length instead of the config's, see
            :func:`shorten`.
        measure (str): ``module:function`` that takes the runner after the
            training and returns metrics by name. Defaults to the config's
            own validation.
        files (sequence of str): Files with a JSON object a line that the
            training writes into its folder, kept as ``records``.
    """

    config: str = ''
    options: Mapping[str, Any] = field(default_factory=dict)
    epochs: int | None = None
    measure: str = VALIDATE
    files: tuple[str, ...] = ()

    def load(self) -> Config:
        """Read the config and change it.

        Raises:
            FileNotFoundError: If there is no such config.
            ValueError: If it cannot be shortened, see :func:`shorten`.
        """
        path = self.config
        if path.startswith(PREFIX):
            path = resolve_config(path)
        cfg = copy.deepcopy(_read(path))
        cfg.merge_from_dict(copy.deepcopy(dict(self.options)))
        if self.epochs is not None:
            shorten(cfg, self.epochs)
        return cfg

    def content(self) -> dict[str, Any]:
        """Return the merged config, the measure and the code's revision.

        What only says where and how the config is run is left out.
        """
        config = self.load().to_dict()
        for key in _LEFT_OUT:
            config.pop(key, None)
        return dict(
            config=_pruned(config), measure=self.measure, revision=_REVISION
        )

    def execute(self, folder: Path) -> dict[str, Any]:
        """Train and measure, or resume from the last checkpoint.

        Under torchrun all processes train and measure; the metrics of the
        first one count.

        Returns:
            dict[str, Any]: See :meth:`Run.execute`.

        Raises:
            RuntimeError: If a metric is not finite although the weights are.
            ValueError: If the config does not allow what is asked for.
        """
        measure = find_object(self.measure)
        cfg = self.load()
        cfg.work_dir, cfg.launcher = str(folder), _launcher()
        if any(folder.glob('epoch_*.pth')):
            cfg.resume, cfg.load_from = True, None
        cli.set_dataloader_defaults(cfg)
        runner = cli.build_runner(cfg)
        clock = ProgressHook(RunFolder(folder))
        if get_rank() == 0:
            clock.register(runner)
        metrics, diverged = _train_and_measure(runner, measure)
        if get_rank() == 0:
            _drop_checkpoints(folder)
        processes = get_world_size()
        return dict(
            metrics=metrics,
            diverged=diverged,
            records={
                name: _lines(folder / name)
                for name in (() if diverged else self.files)
            },
            epochs=runner.epoch,
            epoch_seconds=clock.epoch_seconds,
            epoch_cpu_seconds=clock.epoch_cpu_seconds,
            processes=processes,
            gpus=processes if torch.cuda.is_available() else 0,
        )


@functools.lru_cache(maxsize=256)
def _read(path: str) -> Config:
    return Config.fromfile(path)


def _pruned(value: Any) -> Any:
    """Drop the keys that are left out at every depth."""
    if isinstance(value, dict):
        return {
            key: _pruned(part)
            for key, part in value.items()
            if key not in _LEFT_OUT_EVERYWHERE
        }
    if isinstance(value, (list, tuple)):
        return [_pruned(part) for part in value]
    return value


def _launcher() -> str:
    # Only torchrun's own variables count: clusters set WORLD_SIZE as well.
    if torch.distributed.is_torchelastic_launched():
        return 'pytorch'
    return 'none'


def _train_and_measure(
    runner: Runner, measure: Callable[[Runner], dict]
) -> tuple[dict, str | None]:
    """Return metrics, or none and the error if the training diverged.

    A training counts as diverged if weights are not finite or embeddings are
    zero. That is an outcome: training again would not change it.
    """
    try:
        runner.train()
        metrics = measure(runner)
        wrong = [n for n, v in metrics.items() if not math.isfinite(v)]
        if wrong:
            raise RuntimeError(
                f'The metrics {", ".join(wrong)} are not finite: the '
                'training has diverged. Lower optim_wrapper.optimizer.lr.'
            )
    except NoDirectionError as error:
        return {}, str(error)
    except (ValueError, RuntimeError) as error:
        weights = runner.model.state_dict().values()
        if all(
            torch.isfinite(w).all() for w in weights if w.is_floating_point()
        ):
            raise
        return {}, str(error)
    return metrics, None


def validate(runner: Runner) -> dict[str, float]:
    """Measure with the config's own evaluators on its own data.

    Raises:
        ValueError: If the config has no validation.
    """
    if runner.val_loop is None:
        raise ValueError(
            'The recipe has no val_dataloader, val_cfg and val_evaluator: '
            'there is nothing to measure.'
        )
    metrics = runner.val_loop.run()
    return {name: float(value) for name, value in metrics.items()}


def _drop_checkpoints(folder: Path) -> None:
    """Remove all checkpoints but the last."""
    noted = folder / 'last_checkpoint'
    if not noted.is_file():
        return
    last = Path(noted.read_text().strip()).name
    for path in folder.glob('epoch_*.pth'):
        if path.name != last:
            path.unlink()


def _lines(path: Path) -> list[dict]:
    text = path.read_text(encoding='utf-8')
    return [json.loads(line) for line in text.splitlines()]


def shorten(cfg: Config, epochs: int) -> None:
    """Change the length of a training, its schedules in proportion.

    Raises:
        ValueError: If it is below 1, the config does not count in epochs, or
            a warm-up before the first E-step would leave no epoch.
    """
    old = (cfg.get('train_cfg') or {}).get('max_epochs')
    if not old or epochs < 1:
        raise ValueError(
            f'--epochs {epochs}: it must be at least 1, and the recipe must '
            f'have train_cfg.max_epochs, which is {old!r} in {cfg.filename}.'
        )
    factor = epochs / old

    def scale(part: Mapping, key: str, least: int = 1) -> None:
        if part.get(key):
            part[key] = max(least, round(part[key] * factor))

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
            scale(scheduler, key)
        if scheduler.get('milestones'):
            scheduler['milestones'] = sorted(
                {max(1, round(m * factor)) for m in scheduler['milestones']}
            )
    hooks = cfg.get('default_hooks') or {}
    clustering = hooks.get('clustering') or {}
    scale(clustering, 'warmup_epochs')
    if clustering.get('warmup_epochs', 0) >= epochs:
        raise ValueError(
            f'--epochs {epochs} leaves no epoch after the warm-up of '
            f'{cfg.filename}: at least 2.'
        )
    prototypes = (cfg.get('model') or {}).get('prototypes') or {}
    if prototypes.get('warmup_epochs'):
        prototypes['warmup_epochs'] *= factor
    scale(prototypes, 'warmup_steps', 0)
    scale(prototypes, 'annealing_steps')
    swav = hooks.get('swav') or {}
    scale(swav, 'epoch_queue_starts')
    for layer in swav.get('frozen_layers_cfg') or {}:
        scale(swav['frozen_layers_cfg'], layer)
    cfg.train_cfg['max_epochs'] = epochs
