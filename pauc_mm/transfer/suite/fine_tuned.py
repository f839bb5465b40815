# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Evaluations that train a network: a launcher with a config of ours."""

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

from pauc_mm import __version__
from pauc_mm.checkpoints.converters import to_mmpretrain
from pauc_mm.datasets.data_layout import LAYOUTS
from pauc_mm.utils.shipped_files import resolve_config, tool_path

from .task import Figure, Setup, Task


@dataclass(frozen=True)
class Recipe:
    """A config, and where the log has its figures.

    Attributes:
        launcher (str): Folder of ``tools/benchmarks``.
        config (str): Below ``configs/benchmarks``.
        metrics (dict[str, tuple[str, float]]): By row: the name in the log,
            and the factor that makes percent of it.
    """

    launcher: str
    config: str
    metrics: dict[str, tuple[str, float]]


def fine_tune(
    setup: Setup, recipe: Recipe, name: str, key: dict[str, Any]
) -> dict[str, Figure]:
    """Train and evaluate in processes of their own; resumes what was begun.

    A step takes as many images as the recipe is made for, over all processes,
    where that can be; else the learning rate is scaled.

    Args:
        setup (Setup): The checkpoint, and the number of processes.
        recipe (Recipe): What to train.
        name (str): Begins the name of the folder below ``setup.out``.
        key (dict[str, Any]): Of :func:`recipe_key`; only a run with the same
            one is resumed.

    Returns:
        dict[str, Figure]: Those of the evaluation after the last step.

    Raises:
        RuntimeError: If the training fails, or its log lacks a figure.
    """
    work_dir = setup.out / f'{name}_{_digest(key)}'
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
            f'the training ended with status {status}, see above and '
            f"'{work_dir}'; the same command goes on where it stopped."
        )
    keys = [key for key, _ in recipe.metrics.values()]
    logged = final_figures(work_dir, keys)
    return {
        row: Figure(factor * logged[key])
        for row, (key, factor) in recipe.metrics.items()
    }


def _batch_options(config: Config, setup: Setup) -> list[str]:
    """The batch of the recipe over the processes, the seed, the user's own."""
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


def final_figures(work_dir: Path, names: Sequence[str]) -> dict[str, float]:
    """What the evaluation after the last training step found.

    Args:
        work_dir (Path): Of a run of mmengine; it may have been resumed.
        names (sequence of str): Such as ``accuracy/top1``.

    Returns:
        dict[str, float]: By name.

    Raises:
        RuntimeError: If there was none after the last step, or it lacks one
            of the figures.
    """
    found: dict[str, float] = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in file.read_text(encoding='utf-8').splitlines():
            values = json.loads(line)
            # A line of training has a loss, and ages the figures before it.
            found = {} if 'loss' in values else {**found, **values}
    missing = [name for name in names if name not in found]
    if missing:
        raise RuntimeError(
            f"the log in '{work_dir}' has no {', '.join(missing)} after the "
            'last training step. If the run was killed in its last '
            'evaluation, evaluate its last checkpoint with tools/test.py, or '
            'repeat it with --force.'
        )
    return {name: float(found[name]) for name in names}


def recipe_key(setup: Setup, data: str) -> dict[str, Any]:
    """All that the figures of a recipe depend on.

    Args:
        setup (Setup): The checkpoint and the settings.
        data (str): Data set; its lists and annotations count by their
            content's time and size, its folders of images by their place.

    Returns:
        dict[str, Any]: Plain data.
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
    """The backbone under mmpretrain's names.

    Args:
        setup (Setup): Names the checkpoint, of any known project.

    Returns:
        Path: ``backbone_DIGEST.pth`` in ``setup.out``, made if it is not
        there.
    """
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


def recipe_task(
    name: str, data: str, recipe: Recipe, published: dict[str, str], note: str
) -> Task:
    """A task that trains.

    Args:
        name (str): Of the task.
        data (str): Data set.
        recipe (Recipe): What to train.
        published (dict[str, str]): Keys of the papers' figures by row.
        note (str): How it differs from the papers.

    Returns:
        Task: It.
    """

    def evaluate(setup: Setup) -> dict[str, Figure]:
        return fine_tune(setup, recipe, name, recipe_key(setup, data))

    return Task(
        name,
        data,
        published,
        evaluate,
        partial(recipe_key, data=data),
        f'{note} (configs/benchmarks/{recipe.config})',
        fine_tunes=True,
        needs='mmdet' if recipe.launcher == 'detection' else '',
    )


def _task(name, data, launcher, config, rows, note) -> Task:
    """From rows of (label, published key, name in the log, factor)."""
    metrics = {label: (key, factor) for label, _, key, factor in rows}
    published = {label: key for label, key, _, _ in rows}
    return recipe_task(
        name, data, Recipe(launcher, config, metrics), published, note
    )


def _top(title: str, keys: dict[int, str]) -> list[tuple]:
    return [
        (f'{title}, top-{k}', published, f'accuracy/top{k}', 1.0)
        for k, published in keys.items()
    ]


def fine_tuning_tasks() -> list[Task]:
    """The evaluations, in the order of the table."""
    linear, semi, boxes = (
        'linear/resnet50_8xb32-linear-{}.py'.format,
        'semi/resnet50_8xb32-semi-pcl-20e_in1k-{}percent.py'.format,
        'detection/{}.py'.format,
    )
    return [
        _task(
            'imagenet-linear-sgd',
            'imagenet',
            'classification',
            linear('pcl-100e_in1k'),
            _top('ImageNet-1k: linear, SGD', {1: 'imagenet top-1', 5: ''}),
            "PCL's protocol",
        ),
        _task(
            'imagenet100-linear-sgd',
            'imagenet100',
            'classification',
            linear('pcl-100e_in100'),
            _top(
                'ImageNet-100: linear, SGD',
                {1: 'imagenet100 top-1', 5: 'imagenet100 top-5'},
            ),
            "PCL's protocol",
        ),
        _task(
            'places205-linear-sgd',
            'places205',
            'classification',
            linear('pcl-40e_places205'),
            _top('Places205: linear, SGD', {1: 'places205 top-1'}),
            "PCL's protocol",
        ),
        *(
            _task(
                f'imagenet-{share}percent',
                f'imagenet {share}%',
                'classification',
                semi(share),
                _top(
                    f'ImageNet-1k: {share}% of the labels, fine-tuned',
                    {1: '', 5: f'imagenet {share}% top-5'},
                ),
                "PCL's protocol",
            )
            for share in (1, 10)
        ),
        *(
            _task(
                f'{data}-frozen',
                f'{data} boxes',
                'detection',
                boxes(f'faster-rcnn_r50_fpn_frozen_4xb2-15e_{data}'),
                [
                    (
                        f'{title}: Faster R-CNN FPN, frozen body, AP50',
                        f'{data} frozen AP50',
                        'pascal_voc/AP50',
                        100.0,
                    )
                ],
                "PCL's protocol; the paper's figure is the mean of three",
            )
            for data, title in (('voc07', 'VOC07'), ('voc0712', 'VOC07+12'))
        ),
        _task(
            'voc0712-c4',
            'voc0712 boxes',
            'detection',
            boxes('faster-rcnn_r50-c4_8xb2-24k_voc0712'),
            [
                (
                    f'VOC07+12: Faster R-CNN C4, {metric}',
                    f'voc0712 C4 {metric}',
                    f'pascal_voc/{key}',
                    100.0,
                )
                for metric, key in (
                    ('AP', 'mAP'),
                    ('AP50', 'AP50'),
                    ('AP75', 'AP75'),
                )
            ],
            "MoCo's protocol; its figure is the mean of five",
        ),
        _task(
            'coco-c4',
            'coco',
            'detection',
            boxes('mask-rcnn_r50-c4_8xb2-2x_coco'),
            [
                (
                    'COCO: Mask R-CNN C4, 2x, box AP',
                    'coco C4 box AP',
                    'coco/bbox_mAP',
                    100.0,
                ),
                (
                    'COCO: Mask R-CNN C4, 2x, mask AP',
                    'coco C4 mask AP',
                    'coco/segm_mAP',
                    100.0,
                ),
            ],
            "MoCo's and PCL's protocol",
        ),
    ]
