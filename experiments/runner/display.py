# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
import time

from .time_left import spoken

_EVERY = 300.0  # seconds between two lines where there is no terminal


class Display:
    """A bar with the time left, on stderr; lines where that is no terminal.

    Args:
        total (int): Cells.
    """

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.total = total
        self.terminal = sys.stderr.isatty()
        self._told = time.perf_counter()
        self._tail = ''
        self._bar = Progress(
            TextColumn('{task.completed:.1f} of {task.total} cells'),
            BarColumn(30),
            TextColumn('{task.description}'),
            console=Console(stderr=True, highlight=False),
            transient=True,
            disable=not self.terminal,
        )
        self._task = self._bar.add_task('starting', total=total)

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(self, *error) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """Print a line that stays, above the bar."""
        if self.terminal:
            self._bar.console.print(line, markup=False, soft_wrap=True)
        else:
            print(f'{self._tail}{line}', file=sys.stderr, flush=True)

    def update(self, done: float, left: float | None, now: str) -> None:
        """Show how far it is.

        Args:
            done (float): Cells, with the shares of those that run.
            left (float, optional): Seconds, if they can be told.
            now (str): What runs.
        """
        rest = f'about {spoken(left)} left'
        self._bar.update(
            self._task, completed=done, description=f'{rest}: {now}'
        )
        self._tail = f'[{done:.1f}/{self.total}, {rest}] '
        if not self.terminal and time.perf_counter() - self._told > _EVERY:
            self._told = time.perf_counter()
            self.say(now)
