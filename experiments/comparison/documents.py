# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Files of a report: text, picture and raw results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.runner import RunResult, read_results, write_results
from pauc_mm.utils.files import write_text

from .ablation_plot import plot_differences
from .accuracy_plot import plot_accuracy_and_collapse
from .report import suite_report
from .results import Grouped, Tuning
from .settings import Suite

MARK = '<!-- What follows is written by experiments/compare.py. -->'


def write_documents(
    suite: Suite,
    grouped: Grouped,
    tuning: Tuning,
    folder: Path,
    command: str,
    missing: Sequence[str] = (),
) -> tuple[str, list[Path]]:
    """Write the report, the picture and the raw results.

    Text above :data:`MARK` in an existing report is kept: there people say
    what the tables mean.

    Raises:
        OSError: If one cannot be written.
        ValueError: If a file of that name is no such report, or there are
            no results.
    """
    if not grouped and not tuning:
        raise ValueError(
            'there is no result of the comparison to report yet: run without '
            '--report-only first, or choose other runs with --only.'
        )
    report, raw = _paths(suite, folder)
    figure = report.parent / 'figures' / f'{report.stem}.png'
    report.parent.mkdir(parents=True, exist_ok=True)
    above = f'# {suite.title}\n\n'
    if report.is_file():
        old = report.read_text(encoding='utf-8')
        if MARK not in old:
            raise ValueError(
                f"'{report}' has no line '{MARK}', so it is not a report of "
                'this program: move it, or name another folder with --docs.'
            )
        above = old[: old.index(MARK)]
    files, picture = [report, raw], ''
    only = [suite.baseline] if suite.is_ablation else []
    if any(set(methods) - set(only) for methods in grouped.values()):
        plot = (
            plot_differences
            if suite.is_ablation
            else plot_accuracy_and_collapse
        )
        files.insert(1, plot(suite, grouped, figure))
        picture = figure.relative_to(report.parent).as_posix()
    text = suite_report(suite, grouped, tuning, command, missing, picture)
    whole = f'{above}{MARK}\n\n{text}'
    write_text(report, whole)
    write_results(raw, _once(grouped, tuning).values())
    return whole, files


def missing_from(
    suite: Suite, grouped: Grouped, tuning: Tuning, folder: Path
) -> int:
    """Count the results in a folder's raw file that are missing here."""
    _, raw = _paths(suite, folder)
    if not raw.is_file():
        return 0
    stored = {result.name for result in read_results(raw)}
    return len(stored - set(_once(grouped, tuning)))


def _paths(suite: Suite, folder: Path) -> tuple[Path, Path]:
    """Return the paths of the report and of the raw results."""
    report = Path(folder) / suite.report
    return report, report.with_suffix('.json')


def _once(grouped: Grouped, tuning: Tuning) -> dict[str, RunResult]:
    """Return every result once, by the name of its run."""
    return {
        result.name: result
        for table in (grouped, tuning)
        for methods in table.values()
        for group in methods.values()
        for result in group.values()
    }
