# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Many small detectors, each in a process of its own, and their figures."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from .scene_run import SceneRun

METRICS = ('bbox_mAP', 'bbox_mAP_50', 'segm_mAP', 'segm_mAP_50')
FROZEN_STAGES = dict(frozen=3, trained=0)
LOG_LINES = 15


class SceneRuns:
    """Makes runs that are not there yet, and keeps their figures.

    A run is there if its ``result.json`` names the same checkpoint by its
    content, the same scenes and the same options.

    Args:
        folder (Path): A folder for each run is made in it.
        data (Path): Scenes of experiments/make_digit_scenes.py.
        tool (Path): tools/benchmarks/detection/train.py.
        configs (Path): Folder with NAME_tiny_digits.py.
        options (sequence of str): KEY=VALUE for each training.
    """

    def __init__(
        self,
        folder: Path,
        data: Path,
        tool: Path,
        configs: Path,
        options: Sequence[str] = (),
    ) -> None:
        self.folder, self.data = Path(folder), Path(data).resolve()
        self.tool, self.configs = Path(tool), Path(configs)
        self.options = list(options)
        scenes = json.loads((self.data / 'scenes.json').read_text('utf-8'))
        self.scenes = scenes['settings']
        self._running: set[subprocess.Popen] = set()

    def perform(
        self,
        runs: Sequence[SceneRun],
        jobs: int,
        force: bool,
        say: Callable[[str], None],
    ) -> list[dict]:
        """Make what is missing, each on one thread.

        Args:
            runs (sequence of SceneRun): What is wanted.
            jobs (int): Processes at the same time.
            force (bool): Whether to repeat what is there.
            say (callable): Gets a line for each finished run.

        Returns:
            list[dict]: Records in the order of ``runs``.

        Raises:
            RuntimeError: A run failed; the end of its log is in the message.
                Those before it are kept.
        """
        missing = [r for r in runs if force or self.read(r) is None]
        if len(missing) < len(runs):
            say(
                f'{len(runs) - len(missing)} of {len(runs)} runs are in '
                f'{self.folder} already; --force repeats them.'
            )
        start = time.perf_counter()
        with ThreadPoolExecutor(max(1, min(jobs, len(missing)))) as pool:
            futures = {pool.submit(self._make, run): run for run in missing}
            try:
                for number, future in enumerate(as_completed(futures), 1):
                    found = future.result()['metrics']
                    text = ', '.join(f'{k} {v:.3f}' for k, v in found.items())
                    spent = time.perf_counter() - start
                    say(
                        f'[{number}/{len(missing)}, {spent:.0f} s] '
                        f'{futures[future]}: {text}'
                    )
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(self._running):
                    process.terminate()
                raise
        return [self.read(run) for run in runs]

    def read(self, run: SceneRun) -> dict | None:
        """The record of a run, or None if it is not there as it should be."""
        path = self.folder / str(run) / 'result.json'
        if not path.is_file():
            return None
        record = json.loads(path.read_text('utf-8'))
        wanted = self._describe(run)
        return record if {k: record[k] for k in wanted} == wanted else None

    def _describe(self, run: SceneRun) -> dict:
        digest = 'none'
        if run.checkpoint != 'none':
            content = Path(run.checkpoint).read_bytes()
            digest = hashlib.sha256(content).hexdigest()
        return dict(
            detector=run.detector,
            backbone=run.backbone,
            start=run.start,
            seed=run.seed,
            checkpoint=digest,
            scenes=self.scenes,
            options=self.options,
        )

    def _make(self, run: SceneRun) -> dict:
        folder = self.folder / str(run)
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            str(self.tool),
            str(self.configs / f'{run.detector}_tiny_digits.py'),
            run.checkpoint,
            '--work-dir',
            str(folder),
            '--cfg-options',
            f'randomness.seed={run.seed}',
            f'model.backbone.frozen_stages={FROZEN_STAGES[run.backbone]}',
            *self.options,
        ]
        env = {
            **os.environ,
            'DIGIT_SCENES_ROOT': str(self.data),
            'OMP_NUM_THREADS': '1',
        }
        log = folder / 'log.txt'
        start = time.perf_counter()
        began = time.time()
        with open(log, 'w', encoding='utf-8') as file:
            process = subprocess.Popen(
                command, env=env, stdout=file, stderr=subprocess.STDOUT
            )
            self._running.add(process)
            code = process.wait()
            self._running.discard(process)
        if code:
            lines = log.read_text('utf-8', errors='replace').splitlines()
            end = '\n'.join(lines[-LOG_LINES:])
            raise RuntimeError(
                f'{run} ended with code {code}; see {log}, which ends in:\n'
                f'{end}'
            )
        record = dict(
            **self._describe(run),
            metrics=_last_metrics(folder, began),
            seconds=time.perf_counter() - start,
        )
        new = folder / 'result.tmp'
        new.write_text(json.dumps(record, indent=1) + '\n', 'utf-8')
        os.replace(new, folder / 'result.json')
        return record


def _last_metrics(folder: Path, began: float) -> dict[str, float]:
    """COCO's figures of the last evaluation of the newest run.

    Raises:
        RuntimeError: There was none.
    """
    paths = [
        path
        for path in folder.glob('*/vis_data/scalars.json')
        if path.stat().st_mtime >= began - 1
    ]
    for path in sorted(paths, reverse=True):
        lines = path.read_text('utf-8').splitlines()
        for line in reversed(lines):
            values = json.loads(line)
            if 'coco/bbox_mAP' in values:
                return {
                    name: values[f'coco/{name}']
                    for name in METRICS
                    if f'coco/{name}' in values
                }
    raise RuntimeError(
        f'the run in {folder} ended without an evaluation: train_cfg.'
        'val_interval must divide train_cfg.max_epochs.'
    )
