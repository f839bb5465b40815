# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Many cells, some of them at the same time, each in its own process."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pauc_mm.utils.files import only_process_in

from .cell import Cell
from .cell_config import config_digest, read_again
from .cell_folder import CellFolder
from .cell_process import WORKER, CellProcess
from .provenance import usable_cores
from .time_left import time_left

FREE_MEGABYTES = 100
_POLL = 0.2  # seconds


class Watcher(Protocol):
    """What is told of the progress, such as :class:`~.display.Display`."""

    def say(self, line: str) -> None:
        """Take a line that stays."""

    def update(self, done: float, left: float | None, now: str) -> None:
        """Take cells done, seconds left or None, and what runs."""


@dataclass
class Failure:
    """A cell that ended without a result.

    Attributes:
        cell (Cell): Which.
        reason (str): The end of what it printed.
        log (Path): All of it.
    """

    cell: Cell
    reason: str
    log: Path


@dataclass
class Store:
    """Where the cells of a matrix are kept.

    Attributes:
        root (Path): Has a folder for each, by its name.
        megabytes (int): That a cell may write, and that must be free before
            one is begun. Defaults to :data:`FREE_MEGABYTES`.
    """

    root: Path
    megabytes: int = FREE_MEGABYTES

    def folder(self, cell: Cell) -> CellFolder:
        """That of a cell."""
        return CellFolder(Path(self.root) / cell.name)

    def finished(self, cell: Cell) -> dict | None:
        """Its result, if it is there and of the config as it is now."""
        return self.folder(cell).finished(config_digest(cell))

    def outdated(self, cell: Cell) -> bool:
        """Whether there is a result, but of another config."""
        result = self.folder(cell).result()
        return result is not None and result['digest'] != config_digest(cell)


def run_cells(
    cells: Sequence[Cell],
    store: Store,
    jobs: int,
    watcher: Watcher,
    worker: Sequence[str] = WORKER,
) -> list[Failure]:
    """Run the cells that are not done yet, in their order.

    A cell that fails does not stop the others. When this is interrupted the
    cells that run are ended; they go on from their last checkpoint when it is
    called again.

    Args:
        cells (sequence of Cell): What is wanted, of distinct names.
        store (Store): Where results are and go.
        jobs (int): Cells at the same time; the cores are shared among them.
        watcher (Watcher): Is told how far it is.
        worker (sequence of str): Command that runs a cell.

    Returns:
        list[Failure]: In the order in which they failed.

    Raises:
        ValueError: If ``jobs`` is below 1 or two cells have one name.
        OSError: If the disk is nearly full, or a folder cannot be written.
        RuntimeError: If another process runs cells of this store.
    """
    if jobs < 1:
        raise ValueError(f'jobs must be at least 1, not {jobs}.')
    names = [cell.name for cell in cells]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f'Several cells are named {", ".join(twice)}.')
    with only_process_in(store.root):
        return _run_missing(cells, store, jobs, watcher, worker)


def _run_missing(cells, store, jobs, watcher, worker):
    waiting: list[Cell] = []
    known: dict[str, list[float]] = {}
    for cell in cells:
        result = store.finished(cell)
        if result is None:
            waiting.append(cell)
        else:
            known.setdefault(_kind(cell), []).append(result['seconds'])
    if len(waiting) < len(cells):
        watcher.say(
            f'{len(cells) - len(waiting)} of {len(cells)} cells are done '
            f"already, in '{store.root}'."
        )
    for cell in waiting:
        if store.outdated(cell):
            watcher.say(
                f'{cell}: its config has changed. It is run again, the old '
                'result is kept as result.json.1 (2, ...).'
            )
    return _run(waiting, len(cells), known, store, jobs, watcher, worker)


def _run(waiting, total, known, store, jobs, watcher, worker):
    threads = max(1, usable_cores() // jobs)
    running: list[CellProcess] = []
    failures: list[Failure] = []
    waiting = list(waiting)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                check_space(store.root, store.megabytes)
                read_again()
                cell = waiting.pop(0)
                folder = store.folder(cell)
                running.append(CellProcess(cell, folder, threads, worker))
            for process in [p for p in running if p.code is not None]:
                running.remove(process)
                finished = _end(process, store, failures)
                if finished:
                    own = known.setdefault(_kind(process.cell), [])
                    own.append(finished['seconds'])
                watcher.say(_told(process.cell, finished, failures))
            shares = [(_kind(p.cell), p.share, p.seconds) for p in running]
            left = time_left([_kind(c) for c in waiting], shares, known, jobs)
            done = total - len(waiting) - len(running)
            now = ', '.join(f'{p.cell} {p.share:.0%}' for p in running)
            watcher.update(done + sum(s for _, s, _ in shares), left, now)
            if running:
                time.sleep(_POLL)
    finally:
        for process in running:
            process.stop()
    return failures


def check_space(root: Path, megabytes: int = FREE_MEGABYTES) -> None:
    """Refuse to begin a cell that could not write its checkpoints.

    Args:
        root (Path): Where it would.
        megabytes (int): That it may write.

    Raises:
        OSError: If less is free.
    """
    free = shutil.disk_usage(root).free / 2**20
    if free < megabytes:
        raise OSError(
            f"Only {free:.0f} MB are free on the disk of '{root}', and a cell "
            f'needs up to {megabytes}. Make room, or name another folder '
            'with --out; the cells that are done are kept.'
        )


def _kind(cell: Cell) -> str:
    """Cells that take equally long: those that differ in the seed alone."""
    place = {k: v for k, v in cell.place.items() if k != 'seed'}
    return f'{cell.config} {cell.epochs} {sorted(place.items())}'


def _end(process: CellProcess, store: Store, failures: list) -> dict | None:
    cell, code = process.cell, process.code
    read_again()
    end = process.folder.log_end()
    reason = end or f'exit status {code}, and it printed nothing'
    result = None
    if code == 0:
        try:
            result = store.finished(cell)
            if store.outdated(cell):
                reason = 'its config was changed while it ran'
        except Exception as error:  # Of a config any: it is a program.
            reason = f'its config cannot be read any more: {error}'
    if result is None:
        log = process.folder.path / 'log.txt'
        failures.append(Failure(cell, reason, log))
    return result


def _told(cell: Cell, result: dict | None, failures: list) -> str:
    if result is None:
        lines = failures[-1].reason.splitlines()
        # torchrun ends its account with a rule.
        last = [line for line in lines if line.strip(' =-')] or lines
        return f'{cell}: FAILED, {last[-1]}'
    if result.get('diverged'):
        return f'{cell}: diverged, {result["diverged"].splitlines()[0]}'
    some = list(result['figures'].items())[:4]
    text = ', '.join(f'{name} {value:.4g}' for name, value in some)
    return f'{cell}: {text} ({result["seconds"]:.0f} s)'
