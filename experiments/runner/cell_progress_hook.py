# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

from mmengine.hooks import Hook
from mmengine.runner import Runner

from .cell_folder import CellFolder


class CellProgressHook(Hook):
    """Tells the process that schedules the cells how far this one is.

    The worker adds it to the runner: it is no part of the config.

    Args:
        folder (CellFolder): Whose state is written after every epoch.
        started (float): When this process began, of ``time.perf_counter``.
    """

    # Before what other hooks do before an epoch, the E-step included.
    priority = 'VERY_HIGH'

    def __init__(self, folder: CellFolder, started: float) -> None:
        self.folder = folder
        self.started = started
        state = folder.state()
        self.before = float(state.get('seconds', 0.0))
        self.train_seconds = float(state.get('train_seconds', 0.0))
        self.cpu_seconds = float(state.get('cpu_seconds', 0.0))
        self.epochs = int(state.get('timed_epochs', 0))
        self._began = started, time.process_time()

    @property
    def seconds(self) -> float:
        """All the time of the cell, that of earlier attempts included."""
        return self.before + time.perf_counter() - self.started

    @property
    def epoch_seconds(self) -> float | None:
        """Mean seconds of an epoch with its E-step, of all attempts.

        Without the monitors, checkpoints and evaluations after it. None if
        no epoch has been trained.
        """
        return self.train_seconds / self.epochs if self.epochs else None

    @property
    def epoch_cpu_seconds(self) -> float | None:
        """As :attr:`epoch_seconds`, of the processor.

        What else runs on the machine matters less to it. The processes that
        load images are not in it.
        """
        return self.cpu_seconds / self.epochs if self.epochs else None

    def register(self, runner: Runner) -> None:
        """Join a runner, with what stops the clock."""
        runner.register_hook(self)
        runner.register_hook(_EpochEnd(self))

    def before_train_epoch(self, runner: Runner) -> None:
        """Take the time."""
        self._began = time.perf_counter(), time.process_time()

    def end_epoch(self, runner: Runner) -> None:
        """Write how far it is."""
        self.train_seconds += time.perf_counter() - self._began[0]
        self.cpu_seconds += time.process_time() - self._began[1]
        self.epochs += 1
        state = self.folder.state()
        state.update(
            epoch=runner.epoch + 1,
            max_epochs=runner.max_epochs,
            seconds=round(self.seconds, 2),
            train_seconds=round(self.train_seconds, 3),
            cpu_seconds=round(self.cpu_seconds, 3),
            timed_epochs=self.epochs,
        )
        self.folder.write_state(**state)


class _EpochEnd(Hook):
    """Stops the clock after the hooks that belong to the training.

    Those of this priority that were there before it, so after an E-step at
    the end of an epoch, but before monitors and checkpoints.
    """

    priority = 'NORMAL'

    def __init__(self, clock: CellProgressHook) -> None:
        self.clock = clock

    def after_train_epoch(self, runner: Runner) -> None:
        """Tell the clock."""
        self.clock.end_epoch(runner)
