# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Evaluations that train a network: a launcher with one of our configs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config

from pauc_mm.checkpoints.converters import to_mmpretrain
from pauc_mm.datasets.data_layout import LAYOUTS
from pauc_mm.utils.shipped_files import resolve_config, tool_path
from pauc_mm.version import __version__

from .task import Score, Setup, Task


@dataclass(frozen=True)
class Metric:
    """Row of the table that a recipe fills.

    Attributes:
        row (str): Title of the row, after that of the recipe.
        logged (str): Name in the log.
        published (str): Key of :data:`~.published.PUBLISHED`, or ''.
    """

    row: str
    logged: str
    published: str = ''


@dataclass(frozen=True)
class Recipe:
    """A network to train, and the metrics to read from its log.

    Attributes:
        name (str): Name of the task.
        data (str): Data set, see :class:`~.task.Task`.
        title (str): Begins the title of each row.
        config (str): Path below ``configs/benchmarks``.
        metrics (tuple[Metric, ...]): Metrics of the last evaluation.
        note (str): Protocol, and how it differs from the papers.
    """

    name: str
    data: str
    title: str
    config: str
    metrics: tuple[Metric, ...]
    note: str = "PCL's protocol"

    @property
    def launcher(self) -> str:
        """Folder of the launcher below ``tools/benchmarks``."""
        detects = self.config.startswith('detection/')
        return 'detection' if detects else 'classification'

    @property
    def percent(self) -> float:
        """Factor that converts logged values to percent."""
        return 100.0 if self.launcher == 'detection' else 1.0

    def row(self, metric: Metric) -> str:
        """Return the title of a row."""
        return f'{self.title}, {metric.row}'


RECIPES = (
    Recipe(
        name='imagenet-linear-sgd',
        data='imagenet',
        title='ImageNet-1k: linear, SGD',
        config='linear/resnet50_8xb32-linear-pcl-100e_in1k.py',
        metrics=(
            Metric('top-1', 'accuracy/top1', 'imagenet top-1'),
            Metric('top-5', 'accuracy/top5'),
        ),
    ),
    Recipe(
        name='imagenet100-linear-sgd',
        data='imagenet100',
        title='ImageNet-100: linear, SGD',
        config='linear/resnet50_8xb32-linear-pcl-100e_in100.py',
        metrics=(
            Metric('top-1', 'accuracy/top1', 'imagenet100 top-1'),
            Metric('top-5', 'accuracy/top5', 'imagenet100 top-5'),
        ),
    ),
    Recipe(
        name='places205-linear-sgd',
        data='places205',
        title='Places205: linear, SGD',
        config='linear/resnet50_8xb32-linear-pcl-40e_places205.py',
        metrics=(Metric('top-1', 'accuracy/top1', 'places205 top-1'),),
    ),
    *(
        Recipe(
            name=f'imagenet-{share}percent',
            data=f'imagenet {share}%',
            title=f'ImageNet-1k: {share}% of the labels, fine-tuned',
            config=f'semi/resnet50_8xb32-semi-pcl-20e_in1k-{share}percent.py',
            metrics=(
                Metric('top-1', 'accuracy/top1'),
                Metric('top-5', 'accuracy/top5', f'imagenet {share}% top-5'),
            ),
        )
        for share in (1, 10)
    ),
    *(
        Recipe(
            name=f'{data}-frozen',
            data=f'{data} boxes',
            title=f'{title}: Faster R-CNN FPN, frozen body',
            config=f'detection/faster-rcnn_r50_fpn_frozen_4xb2-15e_{data}.py',
            metrics=(
                Metric('AP50', 'pascal_voc/AP50', f'{data} frozen AP50'),
            ),
            note="PCL's protocol; the paper reports the mean of three",
        )
        for data, title in (('voc07', 'VOC07'), ('voc0712', 'VOC07+12'))
    ),
    Recipe(
        name='voc0712-c4',
        data='voc0712 boxes',
        title='VOC07+12: Faster R-CNN C4',
        config='detection/faster-rcnn_r50-c4_8xb2-24k_voc0712.py',
        metrics=(
            Metric('AP', 'pascal_voc/mAP', 'voc0712 C4 AP'),
            Metric('AP50', 'pascal_voc/AP50', 'voc0712 C4 AP50'),
            Metric('AP75', 'pascal_voc/AP75', 'voc0712 C4 AP75'),
        ),
        note="MoCo's protocol, which reports the mean of five",
    ),
    Recipe(
        name='coco-c4',
        data='coco',
        title='COCO: Mask R-CNN C4, 2x',
        config='detection/mask-rcnn_r50-c4_8xb2-2x_coco.py',
        metrics=(
            Metric('box AP', 'coco/bbox_mAP', 'coco C4 box AP'),
            Metric('mask AP', 'coco/segm_mAP', 'coco C4 mask AP'),
        ),
        note="MoCo's and PCL's protocol",
    ),
)


def fine_tuning_tasks() -> list[Task]:
    """Return the evaluations, in the order of the table."""
    return [recipe_task(recipe) for recipe in RECIPES]


def recipe_task(recipe: Recipe) -> Task:
    """Return the task that trains a recipe."""
    return Task(
        recipe.name,
        recipe.data,
        {recipe.row(metric): metric.published for metric in recipe.metrics},
        partial(fine_tune, recipe=recipe),
        partial(recipe_key, data=recipe.data),
        f'{recipe.note} (configs/benchmarks/{recipe.config})',
        fine_tunes=True,
        needs='mmdet' if recipe.launcher == 'detection' else '',
    )


def fine_tune(setup: Setup, recipe: Recipe) -> dict[str, Score]:
    """Train and evaluate in processes of their own, or resume.

    The batch of the recipe is divided by the number of processes; if that is
    impossible, the learning rate is scaled.

    Args:
        setup (Setup): The checkpoint and the number of processes. A run is
            resumed only if its :func:`recipe_key` is the same.
        recipe (Recipe): The network to train.

    Returns:
        dict[str, Score]: Scores after the last step by row.

    Raises:
        RuntimeError: If the training fails, or its log lacks a metric.
    """
    key = recipe_key(setup, recipe.data)
    work_dir = setup.out / f'{recipe.name}_{_digest(key)}'
    if setup.force and work_dir.is_dir():
        shutil.rmtree(work_dir)
    config = resolve_config(f'pauc_mm::benchmarks/{recipe.config}')
    command = [
        'bash',
        str(tool_path(f'benchmarks/{recipe.launcher}/dist_train.sh')),
        config,
        str(backbone_file(setup)),
        str(setup.gpus),
        '--work-dir',
        str(work_dir),
        '--resume',
        *_batch_options(Config.fromfile(config), setup),
    ]
    print(' '.join(command), flush=True)
    env = {**os.environ, 'PYTHON': sys.executable}
    status = subprocess.run(command, env=env).returncode
    if status:
        raise RuntimeError(
            f"The training ended with status {status}, see '{work_dir}' and "
            'the messages above. The same command resumes it.'
        )
    logged = final_metrics(work_dir, [m.logged for m in recipe.metrics])
    return {
        recipe.row(metric): Score(recipe.percent * logged[metric.logged])
        for metric in recipe.metrics
    }


def _batch_options(config: Config, setup: Setup) -> list[str]:
    """Return options of the batch, the seed, and the user's own."""
    settings = [f'randomness.seed={setup.seed}']
    scaled = []
    base = (config.get('auto_scale_lr') or {}).get('base_batch_size')
    if base:
        scaled = ['--auto-scale-lr']
        if base % setup.gpus == 0:
            settings.append(
                f'train_dataloader.batch_size={base // setup.gpus}'
            )
    return [*scaled, '--cfg-options', *settings, *setup.cfg_options]


def final_metrics(work_dir: Path, names: Sequence[str]) -> dict[str, float]:
    """Read the evaluation after the last training step from the log.

    Args:
        work_dir (Path): Folder of a run of mmengine, resumed or not.
        names (sequence of str): Such as ``accuracy/top1``.

    Returns:
        dict[str, float]: By name.

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

    Args:
        setup (Setup): The checkpoint and the settings.
        data (str): Data set. Its lists and annotations count by size and time
            of change, its folders of images by their path.
    """
    files = []
    if data in LAYOUTS:
        folder = Path(setup.data[data].folder)
        files = [folder / part for part in LAYOUTS[data][1]]
    return dict(
        version=__version__,
        network=setup.network(),
        files=[
            [str(f.absolute()), f.stat().st_size, f.stat().st_mtime_ns]
            if f.is_file()
            else [str(f.absolute())]
            for f in files
        ],
        seed=setup.seed,
        cfg_options=list(setup.cfg_options),
    )


def backbone_file(setup: Setup) -> Path:
    """Return the backbone in mmpretrain's names, converted at first use."""
    options = setup.options
    path = setup.out / f'backbone_{_digest(setup.network())}.pth'
    if not path.is_file():
        to_mmpretrain(
            options.checkpoint,
            path,
            momentum=options.momentum,
            config=options.config,
            trust=options.trust_checkpoint,
        )
    return path


def _digest(key: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:8]
