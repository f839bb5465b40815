# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
import sys
import textwrap
import time
from datetime import timedelta

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model


@HOOKS.register_module()
class ProgressHook(Hook):
    """One line an epoch for a person, where the log is left to its file.

    ``tools/train.py`` registers it in a terminal: losses and accuracies are
    means over the epoch, and the line is a bar until the epoch ends.
    """

    # After mmengine's timer and all hooks that log, or have bars of their own.
    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self._bar = None

    def before_train(self, runner: Runner) -> None:
        """Say what is trained on what, and where the log is."""
        model, loader = get_ori_model(runner.model), runner.train_dataloader
        device = next(model.parameters()).device.type
        files = [
            handler.baseFilename
            for handler in runner.logger.handlers
            if isinstance(handler, logging.FileHandler)
        ]
        _print(
            f'{type(model).__name__}: {len(loader.dataset):,} images, '
            f'{runner.epoch} of {runner.max_epochs} epochs done, '
            f'{len(loader):,} steps each, '
            f'{get_world_size()} process(es) on {device}.\n'
            f'log: {", ".join(files)}'
        )

    def before_train_epoch(self, runner: Runner) -> None:
        """Start the bar."""
        from rich.progress import Progress

        self._start = time.perf_counter()
        # In a file a bar would leave blank lines.
        if is_main_process() and sys.stdout.isatty():
            self._bar = Progress(transient=True)
            total = len(runner.train_dataloader)
            self._task = self._bar.add_task(_epoch(runner), total=total)
            self._bar.start()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Advance the bar, and take it away before others have theirs."""
        if self._bar is not None:
            self._bar.advance(self._task)
            if self.end_of_epoch(runner.train_dataloader, batch_idx):
                self._bar.stop()

    def after_train_epoch(self, runner: Runner) -> None:
        """Print the line of the epoch."""
        steps = len(runner.train_dataloader)
        parts = [
            f'{name.removeprefix("train/")} {buffer.mean(steps):.4g}'
            for name, buffer in runner.message_hub.log_scalars.items()
            if name == 'train/loss' or name.startswith('train/acc')
        ]
        parts.append(f'{time.perf_counter() - self._start:.1f} s')
        if runner.epoch + 1 < runner.max_epochs:
            left = runner.message_hub.get_info('eta', 0)
            parts.append(f'{timedelta(seconds=round(left))} left')
        _print(f'{_epoch(runner)}  {"  ".join(parts)}')

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Print the metrics of a validation."""
        parts = [
            f'{name} {value:.4g}'
            for name, value in (metrics or {}).items()
            if isinstance(value, (int, float))
        ]
        indent = ' ' * (len(_epoch(runner)) + 2)
        lines = textwrap.wrap(
            '; '.join(parts), initial_indent=indent, subsequent_indent=indent
        )
        _print('\n'.join(lines))


def _epoch(runner: Runner) -> str:
    last = str(runner.max_epochs)
    return (
        f'epoch {min(runner.epoch + 1, runner.max_epochs):>{len(last)}}/{last}'
    )


def _print(text: str) -> None:
    if is_main_process():
        print(text, flush=True)
