# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What all programs with a matrix of cells do."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence

from .cell import Cell
from .cell_process import WORKER
from .display import Display
from .scheduler import Failure, Store, run_cells


def run_all(
    cells: Sequence[Cell],
    store: Store,
    jobs: int,
    worker: Sequence[str] = WORKER,
) -> list[Failure]:
    """Run cells with a bar; Ctrl-C and SIGTERM stop it cleanly.

    Args:
        cells (sequence of Cell): What is wanted.
        store (Store): Where they are kept.
        jobs (int): Cells at the same time.
        worker (sequence of str): Command that runs a cell.

    Returns:
        list[Failure]: Those that failed.

    Raises:
        SystemExit: With 130 if it was stopped, with a message if the disk is
            full, a stored result cannot be read, or another process runs
            cells of this store.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Display(len(cells)) as display:
            return run_cells(cells, store, jobs, display, worker)
    except KeyboardInterrupt:
        print(
            'Stopped. What is done is kept: the same command goes on.',
            file=sys.stderr,
        )
        raise SystemExit(130) from None
    except (OSError, ValueError, RuntimeError) as error:
        raise SystemExit(f'error: {error}') from error
    finally:
        signal.signal(signal.SIGTERM, before)


def results_and_gaps(
    cells: Sequence[Cell], store: Store
) -> tuple[list[dict], list[str]]:
    """What there is to report, and what there is not.

    Args:
        cells (sequence of Cell): What is wanted.
        store (Store): Where they are kept.

    Returns:
        tuple[list[dict], list[str]]: Results of the configs as they are now,
        in the order of the cells, and a line for each cell without one.

    Raises:
        ValueError: If a stored result is damaged.
        SystemExit: If there is no result at all.
    """
    results, gaps = [], []
    for cell in cells:
        result = store.finished(cell)
        if result is not None and result.get('diverged'):
            gaps.append(f'{cell}: its training diverged')
        elif result is not None:
            results.append(result)
        elif store.outdated(cell):
            gaps.append(f'{cell}: its config has changed since it was run')
        else:
            gaps.append(f'{cell}: not run, or failed')
    if not results:
        told = '\n'.join(f'  {gap}' for gap in gaps)
        raise SystemExit(
            f"error: there is no result in '{store.root}' to report: run "
            'without --report-only first, or give its --out, --epochs and '
            f'--only.\n{told}'
        )
    return results, gaps


def run_and_report(
    args: argparse.Namespace,
    cells: Sequence[Cell],
    store: Store,
    report: Callable[[], None],
    worker: Sequence[str] = WORKER,
    then: Callable[[], Sequence[Cell]] | None = None,
) -> None:
    """Run what is missing, then report what there is.

    Args:
        args (Namespace): With ``jobs`` and ``report_only``.
        cells (sequence of Cell): What is wanted.
        store (Store): Where they are kept.
        report (callable): Writes the report.
        worker (sequence of str): Command that runs a cell.
        then (callable, optional): Cells that depend on the results of those,
            and are run after them.

    Raises:
        SystemExit: With 1 if a cell failed, with a message if a stored
            result is damaged, as :func:`run_all` if it was stopped.
    """
    failures, names = [], {cell.name for cell in cells}
    if not args.report_only:
        failures = run_all(cells, store, args.jobs, worker)
        if then is not None:
            more = then()
            names |= {cell.name for cell in more}
            failures += run_all(more, store, args.jobs, worker)
    if failures:
        print(failure_text(failures), file=sys.stderr)
    if args.report_only or len({f.cell.name for f in failures}) < len(names):
        try:
            report()
        except ValueError as error:  # a stored result is damaged
            raise SystemExit(f'error: {error}') from error
        except OSError as error:
            raise SystemExit(f'error: the report: {error}') from error
    if failures:
        raise SystemExit(1)


def failure_text(failures: Sequence[Failure]) -> str:
    """What failed, and how one learns why."""
    parts = [f'{len(failures)} cell(s) failed:']
    for failure in failures:
        indented = failure.reason.replace('\n', '\n    ')
        parts.append(f'  {failure.cell} (all of it: {failure.log})')
        parts.append(f'    {indented}')
    parts.append('The same command runs them again; the others are kept.')
    return '\n'.join(parts)
