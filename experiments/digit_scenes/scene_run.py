# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.runner import Run

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/benchmarks/detection/train.py'
CONFIGS = ROOT / 'configs/benchmarks/detection'
METRICS = ('bbox_mAP', 'bbox_mAP_50', 'segm_mAP', 'segm_mAP_50')
FROZEN_STAGES = dict(frozen=3, trained=0)


@dataclass(frozen=True)
class SceneRun(Run):
    """Train a detector on scenes of digits and evaluate it.

    Args:
        name (str): See :class:`Run`.
        setting (Mapping): ``detector`` ('faster-rcnn' or 'mask-rcnn'),
            ``backbone`` ('frozen' or 'trained'), ``start`` (initial weights
            of the backbone, a name for the table) and ``seed`` (of the new
            layers, the order, and random weights).
        checkpoint (str): File, or 'none' for random weights.
        data (str): Folder of experiments/make_digit_scenes.py.
        options (sequence of str): KEY=VALUE, changes of the config.
        tool (str): Program that trains.
    """

    checkpoint: str
    data: str
    options: Sequence[str] = ()
    tool: str = str(TOOL)

    def content(self) -> dict[str, Any]:
        """Return the setting and the contents of checkpoint and scenes."""
        digest = 'none'
        if self.checkpoint != 'none':
            weights = Path(self.checkpoint).read_bytes()
            digest = hashlib.sha256(weights).hexdigest()
        scenes = json.loads((Path(self.data) / 'scenes.json').read_text())
        return dict(
            setting=dict(self.setting),
            checkpoint=digest,
            scenes=scenes['settings'],
            options=list(self.options),
        )

    def execute(self, folder: Path) -> dict[str, Any]:
        """Train in a process, and read the last evaluation of its log.

        Raises:
            RuntimeError: If the training failed or made no evaluation.
        """
        setting = self.setting
        # Below, for both this process and the training lock their folder.
        work_dir = folder / 'training'
        logs = set(_logs(work_dir))
        command = [
            sys.executable,
            self.tool,
            str(CONFIGS / f'{setting["detector"]}_tiny_digits.py'),
            self.checkpoint,
            '--work-dir',
            str(work_dir),
            '--cfg-options',
            f'randomness.seed={setting["seed"]}',
            'model.backbone.frozen_stages='
            f'{FROZEN_STAGES[setting["backbone"]]}',
            *self.options,
        ]
        env = {**os.environ, 'DIGIT_SCENES_ROOT': self.data}
        code = subprocess.run(command, env=env).returncode
        if code:
            raise RuntimeError(f'{self} ended with code {code}.')
        return dict(metrics=_last_metrics(set(_logs(work_dir)) - logs))


def scene_run(
    detector: str,
    backbone: str,
    start: str,
    seed: int,
    checkpoint: str,
    data: str | Path,
    options: Sequence[str] = (),
    tool: str | Path = TOOL,
) -> SceneRun:
    """Declare a run, see :class:`SceneRun`."""
    if checkpoint != 'none':
        checkpoint = str(Path(checkpoint).resolve())
    return SceneRun(
        name=f'{detector}_{backbone}_{start}_{seed}',
        setting=dict(
            detector=detector, backbone=backbone, start=start, seed=seed
        ),
        checkpoint=checkpoint,
        data=str(Path(data).resolve()),
        options=list(options),
        tool=str(tool),
    )


def _logs(folder: Path) -> list[Path]:
    return list(folder.glob('*/vis_data/scalars.json'))


def _last_metrics(logs: set[Path]) -> dict[str, float]:
    """Read COCO's metrics of the last evaluation.

    Raises:
        RuntimeError: If there was none.
    """
    for path in sorted(logs, reverse=True):
        for line in reversed(path.read_text('utf-8').splitlines()):
            values = json.loads(line)
            if 'coco/bbox_mAP' in values:
                return {
                    name: values[f'coco/{name}']
                    for name in METRICS
                    if f'coco/{name}' in values
                }
    raise RuntimeError(
        'the training ended without an evaluation: train_cfg.val_interval '
        'must divide train_cfg.max_epochs.'
    )
