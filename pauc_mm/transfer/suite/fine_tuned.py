# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Evaluations that train a network: a launcher with a config of ours."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...compat.config_paths import resolve_config
from ...converters import to_mmpretrain
from .task import Figure, Setup, Task

ROOT = Path(__file__).resolve().parents[3]


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


def fine_tune(setup: Setup, recipe: Recipe, name: str) -> dict[str, Figure]:
    """Train and evaluate in processes of their own; resumes what was begun.

    Args:
        setup (Setup): The checkpoint, and the number of processes.
        recipe (Recipe): What to train.
        name (str): Of the folder below ``setup.out``.

    Returns:
        dict[str, Figure]: Those of the last evaluation.

    Raises:
        RuntimeError: If the training fails, or its log lacks a figure.
    """
    work_dir = setup.out / name
    command = [
        'bash',
        str(ROOT / f'tools/benchmarks/{recipe.launcher}/dist_train.sh'),
        resolve_config(f'pauc_mm::benchmarks/{recipe.config}'),
        str(backbone_file(setup)),
        str(setup.gpus),
        '--work-dir',
        str(work_dir),
        '--resume',
    ]
    if setup.cfg_options:
        command += ['--cfg-options', *setup.cfg_options]
    print(' '.join(command), flush=True)
    env = {**os.environ, 'PYTHON': sys.executable}
    status = subprocess.run(command, env=env).returncode
    if status:
        raise RuntimeError(
            f'the training ended with status {status}; its log is in '
            f"'{work_dir}', and the same command goes on where it stopped."
        )
    logged = last_figures(work_dir)
    missing = [key for key, _ in recipe.metrics.values() if key not in logged]
    if missing:
        raise RuntimeError(
            f"the log in '{work_dir}' has no {', '.join(missing)}; it has "
            f'{", ".join(sorted(logged)) or "no evaluation"}.'
        )
    return {
        row: Figure(factor * logged[key])
        for row, (key, factor) in recipe.metrics.items()
    }


def last_figures(work_dir: Path) -> dict[str, float]:
    """The last value of every number in mmengine's logs of one run.

    Args:
        work_dir (Path): Of the run; it may have been resumed several times.

    Returns:
        dict[str, float]: By name, such as ``accuracy/top1``.
    """
    figures: dict[str, float] = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in file.read_text(encoding='utf-8').splitlines():
            figures.update(
                (key, float(value))
                for key, value in json.loads(line).items()
                if isinstance(value, (int, float)) and math.isfinite(value)
            )
    return figures


def backbone_file(setup: Setup) -> Path:
    """The backbone under mmpretrain's names, written anew.

    Args:
        setup (Setup): Names the checkpoint, of any known project.

    Returns:
        Path: ``backbone.pth`` in ``setup.out``.
    """
    options, path = setup.options, setup.out / 'backbone.pth'
    to_mmpretrain(
        options.checkpoint,
        path,
        momentum=options.momentum,
        config=options.config,
        trust=options.trust_checkpoint,
        force=True,
    )
    return path


def _task(name, data, launcher, config, rows, note) -> Task:
    """A task from rows of (label, published key, name in the log, factor)."""
    metrics = {label: (key, factor) for label, _, key, factor in rows}
    recipe = Recipe(launcher, config, metrics)
    return Task(
        name,
        data,
        {label: published for label, published, _, _ in rows},
        partial(fine_tune, recipe=recipe, name=name),
        f'{note} (configs/benchmarks/{config})',
        fine_tunes=True,
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
                data,
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
            'voc0712',
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
