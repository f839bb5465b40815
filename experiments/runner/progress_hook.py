# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

from mmengine.hooks import Hook
from mmengine.runner import Runner

from .store import RunFolder


class ProgressHook(Hook):
    """Write the progress of a run into its state, and time its epochs.

    Added to the runner by the worker: it is no part of the config.

    Args:
        folder (RunFolder): Its state is written after every epoch.
    """

    # Before what other hooks do before an epoch, the E-step included.
    priority = 'VERY_HIGH'

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        state = folder.state()
        self.epochs = state.get('timed_epochs', 0)
        self.train_seconds = state.get('train_seconds', 0.0)
        self.cpu_seconds = state.get('cpu_seconds', 0.0)
        self._seconds = state.get('seconds', 0.0)
        self._started = time.perf_counter()
        self._began = 0.0, 0.0

    @property
    def epoch_seconds(self) -> float | None:
        """Mean seconds of an epoch with its E-step, of all attempts.

        Monitors, checkpoints and evaluations after it are left out. None if
        no epoch has been trained.
        """
        return self.train_seconds / self.epochs if self.epochs else None

    @property
    def epoch_cpu_seconds(self) -> float | None:
        """Mean processor seconds of an epoch, without loading processes.

        Other work on the machine matters less to it than to
        :attr:`epoch_seconds`.
        """
        return self.cpu_seconds / self.epochs if self.epochs else None

    def register(self, runner: Runner) -> None:
        """Join a runner, together with the hook that ends an epoch."""
        runner.register_hook(self)
        runner.register_hook(_EpochEnd(self))

    def before_train_epoch(self, runner: Runner) -> None:
        """Start the epoch timer."""
        self._began = time.perf_counter(), time.process_time()

    def end_epoch(self, runner: Runner) -> None:
        """Stop the epoch timer and write the state."""
        self.train_seconds += time.perf_counter() - self._began[0]
        self.cpu_seconds += time.process_time() - self._began[1]
        self.epochs += 1
        seconds = self._seconds + time.perf_counter() - self._started
        self.folder.write_state(
            **{
                **self.folder.state(),
                'epoch': runner.epoch + 1,
                'max_epochs': runner.max_epochs,
                'seconds': round(seconds, 2),
                'train_seconds': round(self.train_seconds, 3),
                'cpu_seconds': round(self.cpu_seconds, 3),
                'timed_epochs': self.epochs,
            }
        )


class _EpochEnd(Hook):
    """End the epoch after the hooks that belong to the training.

    It runs behind the others of this priority, so after an E-step at the end
    of an epoch, but before monitors and checkpoints.
    """

    priority = 'NORMAL'

    def __init__(self, clock: ProgressHook) -> None:
        self.clock = clock

    def after_train_epoch(self, runner: Runner) -> None:
        """Pass the event on."""
        self.clock.end_epoch(runner)
