# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Evaluations that train a network: a launcher with one of our configs."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config

from pauc_mm.checkpoints.converters import export
from pauc_mm.datasets.data_layout import LAYOUTS
from pauc_mm.utils.shipped_files import resolve_config, tool_path
from pauc_mm.version import __version__

from .task import Score, Setup, Task


@dataclass(frozen=True)
class Recipe:
    """A network to train, and the metrics to read from its log."""

    name: str  # of the task
    data: str  # see Task
    title: str  # begins the title of each row
    config: str  # path below configs/benchmarks
    # Of each metric of the last evaluation the end of its row's title, its
    # name in the log, and its key of PUBLISHED, or ''.
    metrics: Sequence[Sequence[str]]
    note: str = "PCL's protocol"  # and how it differs from the papers

    @property
    def launcher(self) -> str:
        """Folder of the launcher below ``tools/benchmarks``."""
        detects = self.config.startswith('detection/')
        return 'detection' if detects else 'classification'

    @property
    def percent(self) -> float:
        """Factor that converts logged values to percent."""
        return 100.0 if self.launcher == 'detection' else 1.0

    def rows(self, values: Iterable) -> dict[str, Any]:
        """Return one value for each metric by the title of its row."""
        titles = (f'{self.title}, {end}' for end, _, _ in self.metrics)
        return dict(zip(titles, values))


def fine_tuning_tasks() -> list[Task]:
    """Return the evaluations, in the order of the table."""
    text = Path(__file__).with_name('recipes.json').read_text('utf-8')
    return [recipe_task(Recipe(**entry)) for entry in json.loads(text)]


def recipe_task(recipe: Recipe) -> Task:
    """Return the task that trains a recipe."""
    return Task(
        recipe.name,
        recipe.data,
        recipe.rows(published for _, _, published in recipe.metrics),
        partial(fine_tune, recipe=recipe),
        partial(recipe_key, data=recipe.data),
        f'{recipe.note} (configs/benchmarks/{recipe.config})',
        fine_tunes=True,
        needs='mmdet' if recipe.launcher == 'detection' else '',
    )


def fine_tune(setup: Setup, recipe: Recipe) -> dict[str, Score]:
    """Train and evaluate in processes of their own; return scores by row.

    The batch of the recipe is divided by the number of processes; if that is
    impossible, the learning rate is scaled. A run is resumed only if its
    :func:`recipe_key` is the same.

    Raises:
        RuntimeError: If the training fails, or its log lacks a metric.
    """
    key = recipe_key(setup, recipe.data)
    work_dir = setup.out / f'{recipe.name}_{_digest(key)}'
    if setup.force and work_dir.is_dir():
        shutil.rmtree(work_dir)
    config = resolve_config(f'pauc_mm::benchmarks/{recipe.config}')
    launcher = tool_path(f'benchmarks/{recipe.launcher}/dist_train.sh')
    command = ['bash', launcher, config, backbone_file(setup), setup.gpus]
    command += ['--work-dir', work_dir, '--resume']
    command += _batch_options(Config.fromfile(config), setup)
    command = list(map(str, command))
    print(' '.join(command), flush=True)
    env = {**os.environ, 'PYTHON': sys.executable}
    status = subprocess.run(command, env=env).returncode
    if status:
        raise RuntimeError(
            f"The training ended with status {status}, see '{work_dir}' and "
            'the messages above. The same command resumes it.'
        )
    names = [logged for _, logged, _ in recipe.metrics]
    values = final_metrics(work_dir, names)
    return recipe.rows(Score(recipe.percent * values[n]) for n in names)


def _batch_options(config: Config, setup: Setup) -> list[str]:
    """Return options of the batch, the seed, and the user's own."""
    settings = [f'randomness.seed={setup.seed}']
    scaled = []
    if scaling := config.get('auto_scale_lr'):
        scaled = ['--auto-scale-lr']
        batch, rest = divmod(scaling['base_batch_size'], setup.gpus)
        if not rest:
            settings.append(f'train_dataloader.batch_size={batch}')
    return [*scaled, '--cfg-options', *settings, *setup.cfg_options]


def final_metrics(work_dir: Path, names: Sequence[str]) -> dict[str, float]:
    """Read metrics such as ``accuracy/top1`` after the last training step.

    Raises:
        RuntimeError: If a metric was not logged after the last step.
    """
    metrics: dict[str, float] = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in file.read_text(encoding='utf-8').splitlines():
            values = json.loads(line)
            # A training step, which logs a loss, outdates earlier metrics.
            metrics = {} if 'loss' in values else {**metrics, **values}
    missing = [name for name in names if name not in metrics]
    if missing:
        raise RuntimeError(
            f"The log in '{work_dir}' has no {', '.join(missing)} after the "
            'last training step. If the run was killed in its last '
            'evaluation, evaluate its last checkpoint with tools/test.py, or '
            'repeat it with --force.'
        )
    return {name: float(metrics[name]) for name in names}


def recipe_key(setup: Setup, data: str) -> dict[str, Any]:
    """Return all that the scores of a recipe depend on, as plain data.

    Lists and annotations of the data set count by size and time of change,
    folders of images by their path.
    """
    files = []
    for part in LAYOUTS[data][1] if data in LAYOUTS else ():
        file = (Path(setup.data[data].folder) / part).absolute()
        stat = file.stat() if file.is_file() else None
        stamp = [stat.st_size, stat.st_mtime_ns] if stat else []
        files.append([str(file), *stamp])
    return dict(
        version=__version__,
        network=setup.network(),
        files=files,
        seed=setup.seed,
        cfg_options=list(setup.cfg_options),
    )


def backbone_file(setup: Setup) -> Path:
    """Return the backbone in mmpretrain's names, converted at first use."""
    options = setup.options
    path = setup.out / f'backbone_{_digest(setup.network())}.pth'
    if not path.is_file():
        export(
            options.checkpoint,
            path,
            'mmpretrain',
            momentum=options.momentum,
            config=options.config,
            trust=options.trust_checkpoint,
        )
    return path


def _digest(key: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:8]
