# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Many runs, side by side in processes."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager

from experiments.runner.cell_process import child_variables

from .experiment import Run, check_run, perform
from .results import Results
from .settings import Settings


def perform_all(
    runs: Sequence[Run],
    settings: Settings,
    results: Results,
    jobs: int = 1,
    force: bool = False,
    say: Callable[[str], None] = print,
) -> int:
    """Make the runs that are not there yet, each on one thread.

    Args:
        runs (Sequence[Run]): What is wanted.
        settings (Settings): Sizes and schedule of all of them.
        results (Results): Where they are read and, one by one, written.
        jobs (int): Processes. Defaults to 1: this one.
        force (bool): Whether to repeat what is there. Defaults to False.
        say (Callable): Gets a line for each finished run.

    Returns:
        int: How many were made.

    Raises:
        ValueError: If ``jobs`` is out of range, or see
            :func:`~.experiment.check_run`.
        RuntimeError: If a run failed; those before it are kept.
    """
    if not isinstance(jobs, int) or jobs < 1:
        raise ValueError(f'jobs must be an integer >= 1, not {jobs!r}.')
    for run in runs:
        check_run(run, settings)
    missing = [r for r in runs if force or not results.has(r, settings)]
    if len(missing) < len(runs):
        say(
            f'{len(runs) - len(missing)} of {len(runs)} runs are in '
            f'{results.path} already; --force repeats them.'
        )
    # The long ones first, so that no process idles at the end.
    missing.sort(key=lambda run: -run.classes)
    start = time.perf_counter()
    for number, (run, record, angles) in enumerate(
        _finished(missing, settings, min(jobs, len(missing))), 1
    ):
        results.add(run, record, angles)
        spent = time.perf_counter() - start
        say(
            f'[{number}/{len(missing)}, {spent:.0f} s] {run}: '
            f'{_brief(record["measures"])}'
        )
    return len(missing)


def _brief(measures: dict) -> str:
    return (
        f'NEMD {measures["nemd_classes"]:.3f}, '
        f'uniformity {measures["uniformity"]:.2f}, '
        f'void {measures["void"]:.2f}, kNN {measures["knn"]:.3f}'
    )


def _finished(
    runs: Sequence[Run], settings: Settings, jobs: int
) -> Iterator[tuple]:
    """Run, record and angles, in the order in which they are done."""
    if jobs <= 1:
        for run in runs:
            yield run, *_named(run, settings)
        return
    # Not forked: threads of torch and faiss do not survive it.
    context = multiprocessing.get_context('spawn')
    with _environment(), ProcessPoolExecutor(jobs, context) as pool:
        futures = {pool.submit(_named, run, settings): run for run in runs}
        try:
            for future in as_completed(futures):
                yield futures[future], *future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _environment() -> Iterator[None]:
    """What the processes inherit when they start."""
    wanted = child_variables(1)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _named(run: Run, settings: Settings) -> tuple:
    try:
        return perform(run, settings)
    except RuntimeError as error:
        raise RuntimeError(f'{run}: {error}') from error
