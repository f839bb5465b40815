# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import statistics
import time
from typing import Optional

from mmengine.hooks import Hook
from mmengine.runner import Runner

from .cell_folder import CellFolder


class CellProgressHook(Hook):
    """Tells the process that schedules the cells how far this one is.

    The worker adds it to the runner: it is no part of the config.

    Args:
        folder (CellFolder): Whose state is written after every epoch.
        started (float): When this process began, of ``time.perf_counter``.

    Attributes:
        epoch_seconds (list[float]): Of each epoch in this process, with its
            E-step, without the checks and evaluations after it.
    """

    # Before all that other hooks do after an epoch.
    priority = 'VERY_HIGH'

    def __init__(self, folder: CellFolder, started: float) -> None:
        self.folder = folder
        self.started = started
        self.before = float(folder.state().get('seconds', 0.0))
        self.epoch_seconds: list[float] = []
        self._began = started

    @property
    def seconds(self) -> float:
        """All the time of the cell, that of earlier attempts included."""
        return self.before + time.perf_counter() - self.started

    @property
    def median(self) -> Optional[float]:
        """Seconds of an epoch; None if there was none in this process."""
        return statistics.median(self.epoch_seconds or [0.0]) or None

    def before_train_epoch(self, runner: Runner) -> None:
        """Take the time."""
        self._began = time.perf_counter()

    def after_train_epoch(self, runner: Runner) -> None:
        """Write how far it is."""
        self.epoch_seconds.append(time.perf_counter() - self._began)
        state = self.folder.state()
        state.update(
            epoch=runner.epoch + 1,
            max_epochs=runner.max_epochs,
            seconds=round(self.seconds, 2),
        )
        self.folder.write_state(**state)
