# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Run experiments in parallel, each run in a subprocess."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pauc_mm.utils.files import only_process_in

from .provenance import usable_cores
from .result import RunResult, duration
from .run import Run
from .store import LOG, RunFolder, Store

WORKER = (sys.executable, '-m', 'experiments.runner.worker')
_POLL = 0.5  # seconds between two looks at the progress
_EVERY = 300.0  # seconds between two lines where there is no terminal
# Seconds from asking a process to end to ending it; torchrun gives its own 30.
_PATIENCE = 40.0
_CLEAR = '\r\033[K'  # back to the start of a line, and erase it


class Launcher(Protocol):
    """A way to execute runs; several threads may call it at once."""

    def __call__(self, run: Run, folder: RunFolder, digest: str) -> None:
        """Execute a run in its prepared folder; RuntimeError if it fails."""

    def stop(self) -> None:
        """End the runs that are being executed."""


@dataclass
class Failure:
    """A run that ended without a result.

    Attributes:
        run (Run): Which.
        reason (str): End of what it printed.
        log (Path): File with all of it.
    """

    run: Run
    reason: str
    log: Path


class WorkerProcesses:
    """Start a process for each run, with its output in ``log.txt``.

    Each is the first of a group of its own: Ctrl-C reaches the scheduler
    alone, which then ends it and the loaders that it has started.

    Args:
        jobs (int): Runs at the same time; the cores are shared among them.
        command (sequence of str): Gets folder, run and digest.
        gpus (int): GPUs of a run. For more than one torchrun starts a
            process for each, or CPU processes on a machine without any.

    Raises:
        ValueError: If ``gpus`` is below 1.
    """

    def __init__(
        self, jobs: int, command: Sequence[str] = WORKER, gpus: int = 1
    ) -> None:
        if gpus < 1:
            raise ValueError(f'gpus={gpus} must be at least 1.')
        self.command = list(command)
        if gpus > 1:
            launcher = ['-m', 'torch.distributed.run', '--standalone']
            self.command[1:1] = [*launcher, f'--nproc_per_node={gpus}']
        self.threads = max(1, usable_cores() // jobs // gpus)
        self._running: set[subprocess.Popen] = set()
        self._lock, self._stopped = threading.Lock(), False

    def __call__(self, run: Run, folder: RunFolder, digest: str) -> None:
        """Execute a run; RuntimeError with the end of its log if it fails."""
        with self._lock, open(folder.path / LOG, 'w', encoding='utf-8') as log:
            if self._stopped:
                return
            process = subprocess.Popen(
                [*self.command, str(folder.path), run.to_json(), digest],
                env={**os.environ, **child_variables(self.threads)},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._running.add(process)
        code = process.wait()
        with self._lock:
            self._running.discard(process)
        if code:
            raise RuntimeError(
                folder.log_end()
                or f'exit status {code}, and it printed nothing'
            )

    def stop(self) -> None:
        """End the processes; what their last checkpoints hold is kept."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in running:
                try:
                    os.killpg(process.pid, number)
                except ProcessLookupError:
                    continue
            limit = time.monotonic() + _PATIENCE
            while time.monotonic() < limit and any(
                process.poll() is None for process in running
            ):
                time.sleep(0.05)


def child_variables(threads: int) -> dict[str, str]:
    """Return the environment of a process that trains a small network.

    glibc would give a step's memory back to the system, and the next step
    would fault it in again: a fifth of the time of a small model.
    """
    root = Path(__file__).resolve().parents[2]
    path = [str(root), os.environ.get('PYTHONPATH', '')]
    return dict(
        OMP_NUM_THREADS=str(threads),
        MALLOC_TRIM_THRESHOLD_=str(2**28),
        MALLOC_MMAP_THRESHOLD_=str(2**28),
        PYTHONPATH=os.pathsep.join(part for part in path if part),
    )


class Scheduler:
    """Execute the runs of a store that have no result yet.

    Args:
        store (Store): Where results are and go.
        jobs (int): Runs at the same time.
        launch (Launcher, optional): Defaults to :class:`WorkerProcesses`.

    Raises:
        ValueError: If ``jobs`` is below 1.
    """

    def __init__(
        self, store: Store, jobs: int = 1, launch: Launcher | None = None
    ) -> None:
        if jobs < 1:
            raise ValueError(f'jobs must be at least 1, not {jobs}.')
        self.store, self.jobs = store, jobs
        self.launch = launch or WorkerProcesses(jobs)
        self._running: dict[str, RunFolder] = {}

    def run(self, runs: Sequence[Run]) -> list[Failure]:
        """Execute what is missing, in this order.

        A failing run does not stop the others. On an interrupt the runs in
        progress are ended; the next call resumes them from their last
        checkpoint.

        Args:
            runs (sequence of Run): What is wanted, of distinct names.

        Returns:
            list[Failure]: In the order in which they failed.

        Raises:
            ValueError: If two runs have one name.
            OSError: If the disk is nearly full, or a folder is not writable.
            RuntimeError: If another process works in this store.
        """
        names = [run.name for run in runs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f'Several runs are named {", ".join(twice)}.')
        with only_process_in(self.store.root):
            digests = {run.name: run.digest() for run in runs}
            missing = []
            for run in runs:
                folder = self.store.folder(run)
                if folder.finished(digests[run.name]) is None:
                    missing.append(run)
                    if folder.result() is not None:
                        say(
                            f'{run}: its config has changed. It is run again; '
                            'the old result is kept as result.json.1 (2, ...).'
                        )
            if len(missing) < len(runs):
                say(
                    f'{len(runs) - len(missing)} of {len(runs)} runs are '
                    f"done already, in '{self.store.root}'."
                )
            return self._run(missing, digests)

    def _run(
        self, missing: Sequence[Run], digests: dict[str, str]
    ) -> list[Failure]:
        failures: list[Failure] = []
        progress = _Progress(len(missing))
        pool = ThreadPoolExecutor(self.jobs)
        futures = {
            pool.submit(self._execute, run, digests[run.name]): run
            for run in missing
        }
        waiting = set(futures)
        try:
            while waiting:
                ended, waiting = wait(waiting, _POLL, FIRST_COMPLETED)
                for future in ended:
                    run = futures[future]
                    outcome = future.result()
                    if isinstance(outcome, Failure):
                        failures.append(outcome)
                    progress.finish(f'{run}: {_brief(outcome)}')
                progress.update(self._shares())
        finally:
            if waiting:  # interrupted, or the disk is full
                pool.shutdown(wait=False, cancel_futures=True)
                self.launch.stop()
            pool.shutdown()
            progress.clear()
        return failures

    def _execute(self, run: Run, digest: str) -> RunResult | Failure:
        check_space(self.store)
        folder = self.store.folder(run)
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            with folder.locked():
                folder.prepare(digest)
            self._running[run.name] = folder
            self.launch(run, folder, digest)
            result = folder.finished(digest)
            reason = folder.log_end() or 'it ended without a result'
        except RuntimeError as error:
            result, reason = None, str(error)
        finally:
            self._running.pop(run.name, None)
        return result or Failure(run, reason, folder.path / LOG)

    def _shares(self) -> dict[str, float]:
        """Return the share done of each run in progress."""
        shares = {}
        for name, folder in list(self._running.items()):
            state = folder.state()
            shares[name] = state.get('epoch', 0) / state.get('max_epochs', 1)
        return shares


def check_space(store: Store) -> None:
    """Refuse to begin a run that could not write its checkpoints.

    Raises:
        OSError: If less is free than the store asks for.
    """
    free = shutil.disk_usage(store.root).free / 2**20
    if free < store.megabytes:
        raise OSError(
            f"Only {free:.0f} MB are free on the disk of '{store.root}', and "
            f'a run needs up to {store.megabytes}. Make room, or name another '
            'folder with --out; the finished runs are kept.'
        )


def say(line: str) -> None:
    """Print progress to stderr: stdout is a Markdown file."""
    print(line, file=sys.stderr, flush=True)


def _brief(outcome: RunResult | Failure) -> str:
    if isinstance(outcome, Failure):
        lines = outcome.reason.splitlines()
        # torchrun ends its account with a rule.
        last = [line for line in lines if line.strip(' =-')] or lines
        return f'FAILED, {last[-1]}'
    if outcome.diverged:
        return f'diverged, {outcome.diverged.splitlines()[0]}'
    text = ', '.join(
        f'{name} {value:.4g}'
        for name, value in list(outcome.metrics.items())[:4]
        if value is not None
    )
    return f'{text} ({outcome.seconds:.0f} s)'


class _Progress:
    """A line for each finished run, and from time to time the time left."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.started = self._told = time.perf_counter()

    def finish(self, line: str) -> None:
        self.done += 1
        self.clear()
        say(f'[{self.done}/{self.total}] {line}')

    def update(self, shares: dict[str, float]) -> None:
        now = time.perf_counter()
        terminal = sys.stderr.isatty()
        if not terminal and now - self._told < _EVERY:
            return
        self._told = now
        done = self.done + sum(shares.values())
        left = 'unknown'
        if done:
            seconds = (now - self.started) * (self.total - done) / done
            left = f'about {duration(seconds)}'
        names = ', '.join(f'{n} {share:.0%}' for n, share in shares.items())
        line = f'{done:.1f} of {self.total} runs, {left} left: {names}'
        if terminal:
            width = shutil.get_terminal_size().columns - 1
            print(
                f'{_CLEAR}{line[:width]}', end='', file=sys.stderr, flush=True
            )
        else:
            say(line)

    def clear(self) -> None:
        if sys.stderr.isatty():
            print(_CLEAR, end='', file=sys.stderr, flush=True)
