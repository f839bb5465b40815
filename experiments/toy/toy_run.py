# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import traceback
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from experiments.runner import Run
from experiments.runner.command_line import check_choice
from experiments.runner.run import run_from_json
from experiments.runner.store import LOG, RunFolder
from experiments.runner.worker import execute
from pauc_mm.utils.checks import check_integer

from .experiment import perform
from .methods import METHODS
from .settings import Settings

ANGLES = 'angles.npy'


@dataclass(frozen=True)
class ToyRun(Run):
    """Train and measure one method on blobs.

    Args:
        name (str): See :class:`Run`.
        setting (Mapping): ``method``, ``classes`` and ``seed``, see
            :func:`~.experiment.perform`.
        settings (Mapping): Fields of :class:`Settings`.
    """

    settings: Mapping[str, Any]

    def content(self) -> dict[str, Any]:
        """Return settings, setting, and config of the model."""
        method, classes = self.setting['method'], self.setting['classes']
        config = METHODS[method].config(classes, Settings(**self.settings))
        return dict(
            settings=dict(self.settings),
            setting=dict(self.setting),
            model=config,
        )

    def execute(self, folder: Path) -> dict[str, Any]:
        """Train and measure; the angles of the embeddings go to a file."""
        settings = Settings(**self.settings)
        try:
            metrics, angles = perform(**self.setting, settings=settings)
        except FloatingPointError as error:
            return dict(metrics={}, diverged=str(error))
        np.save(folder / ANGLES, angles)
        return dict(metrics=metrics, epochs=settings.rounds)


def toy_run(
    method: str, classes: int, seed: int, settings: Settings
) -> ToyRun:
    """Declare a run.

    Raises:
        ValueError: If the method is unknown, the seed negative, or the number
            of classes does not fit the sizes.
    """
    check_choice('--methods', [method], METHODS)
    settings.check_classes(classes)
    check_integer('--seeds', seed, 0)
    return ToyRun(
        f'{method}_c{classes}_s{seed}',
        dict(method=method, classes=classes, seed=seed),
        asdict(settings),
    )


class ProcessPool:
    """Launcher that executes short runs in processes that stay alive.

    A run takes seconds, as long as importing torch. Not forked: threads of
    torch and faiss do not survive it.

    Args:
        jobs (int): Number of processes.
    """

    def __init__(self, jobs: int) -> None:
        self._pool = ProcessPoolExecutor(jobs, get_context('spawn'))

    def __call__(self, run: Run, folder: RunFolder, digest: str) -> None:
        """Execute a run; RuntimeError with its error if it fails."""
        text = run.to_json()
        error = self._pool.submit(_execute, folder.path, text, digest).result()
        if error:
            raise RuntimeError(error)

    def stop(self) -> None:
        """Begin no further run; Ctrl-C reaches the processes by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _execute(path: Path, text: str, digest: str) -> str:
    """Return '' or the error, whose traceback goes to the log."""
    try:
        execute(path, run_from_json(text), digest)
    except Exception as error:
        (path / LOG).write_text(traceback.format_exc(), encoding='utf-8')
        return f'{type(error).__name__}: {error}'
    return ''
