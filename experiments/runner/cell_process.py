# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .cell import Cell
from .cell_config import config_digest
from .cell_folder import LOG, CellFolder

WORKER = (sys.executable, '-m', 'experiments.runner.worker')
# Seconds from asking a process to end to ending it; torchrun gives its own 30.
_PATIENCE = 40.0


class CellProcess:
    """The process that runs a cell, with what it prints in ``log.txt``.

    It is the first of a group of its own: Ctrl-C reaches the scheduler alone,
    which then ends it and the loaders that it has started.

    Args:
        cell (Cell): What it runs.
        folder (CellFolder): Where.
        threads (int): Of its computations.
        worker (sequence of str): Command, which gets folder and cell.

    Raises:
        OSError: If the log cannot be written.
    """

    def __init__(
        self,
        cell: Cell,
        folder: CellFolder,
        threads: int,
        worker: Sequence[str] = WORKER,
    ) -> None:
        self.cell, self.folder = cell, folder
        self.started = time.perf_counter()
        self._digest = config_digest(cell)
        folder.path.mkdir(parents=True, exist_ok=True)
        with open(folder.path / LOG, 'w', encoding='utf-8') as log:
            self._process = subprocess.Popen(
                [*worker, str(folder.path), cell.to_json()],
                env={**os.environ, **child_variables(threads)},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def code(self) -> int | None:
        """Exit status; None while it runs."""
        return self._process.poll()

    @property
    def share(self) -> float:
        """Share of its epochs that are done."""
        state = self._state()
        return state.get('epoch', 0) / max(1, state.get('max_epochs', 0))

    @property
    def seconds(self) -> float:
        """How long the cell has taken, earlier attempts included."""
        own = time.perf_counter() - self.started
        return max(own, self._state().get('seconds', 0.0))

    def _state(self) -> dict:
        """That of this run, not of one with another config before it."""
        state = self.folder.state()
        return state if state.get('digest') == self._digest else {}

    def stop(self) -> None:
        """End it and its loaders; what its last checkpoint holds is kept."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                break
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()


def child_variables(threads: int) -> dict[str, str]:
    """Environment of a process that trains a small network.

    glibc would give a step's memory back to the system, and the next step
    would fault it in anew: a fifth of the time of a small model.

    Args:
        threads (int): Of its computations.

    Returns:
        dict[str, str]: To be added to the environment; this package can be
        imported with it wherever it lies.
    """
    package = Path(__file__).resolve().parents[2]
    path = [str(package), os.environ.get('PYTHONPATH', '')]
    return dict(
        OMP_NUM_THREADS=str(threads),
        MALLOC_TRIM_THRESHOLD_=str(2**28),
        MALLOC_MMAP_THRESHOLD_=str(2**28),
        PYTHONPATH=os.pathsep.join(part for part in path if part),
    )


def worker_command(gpus: int) -> tuple[str, ...]:
    """The command that runs a cell, to be followed by folder and cell.

    For more than one it is torchrun, which takes a free port and starts a
    process for each GPU, or CPU processes on a machine without any. Asked to
    end it ends them; each is the first of a group of its own, which the one
    that :meth:`CellProcess.stop` signals does not include.

    Args:
        gpus (int): GPUs of this machine for one cell.

    Returns:
        tuple[str, ...]: For ``worker`` of :class:`CellProcess`.

    Raises:
        ValueError: If it is below 1.
    """
    if gpus < 1:
        raise ValueError(f'gpus={gpus} must be at least 1.')
    if gpus == 1:
        return WORKER
    python, *module = WORKER
    launcher = ('-m', 'torch.distributed.run', '--standalone')
    return (python, *launcher, f'--nproc_per_node={gpus}', *module)
