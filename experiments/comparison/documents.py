# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Where the report of a suite is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pauc_mm.utils.files import write_json, write_text

from .ablation_figure import plot_differences
from .figures import plot_accuracy_and_collapse
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

    What stands above :data:`MARK` in a report that is there is kept, so that
    people can say there what the tables mean.

    Args:
        suite (Suite): What was run.
        grouped (Mapping): Of :func:`~.results.group`; without results of
            the comparison there is no picture.
        tuning (Mapping): Of :func:`~.results.group_tuning`; may be empty.
        folder (Path): Made if it is not there.
        command (str): That makes them again.
        missing (sequence of str): What is not in them, and why.

    Returns:
        tuple[str, list[Path]]: The report, and the files.

    Raises:
        OSError: If one cannot be written.
        ValueError: If there is a file of that name that is no such report,
            or there are no results.
    """
    if not grouped and not tuning:
        raise ValueError(
            'there is no result of the comparison to report yet: run without '
            '--report-only first, or choose other cells with --only.'
        )
    report, raw = _places(suite, folder)
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
    write_json(raw, _plain(grouped, tuning))
    return whole, files


def missing_from(
    suite: Suite, grouped: Grouped, tuning: Tuning, folder: Path
) -> int:
    """How many results a folder's raw file has, and these have not."""
    _, raw = _places(suite, folder)
    if not raw.is_file():
        return 0
    own = {result['cell']['name'] for result in _plain(grouped, tuning)}
    stored = json.loads(raw.read_text(encoding='utf-8'))
    return len({result['cell']['name'] for result in stored} - own)


def _places(suite: Suite, folder: Path) -> tuple[Path, Path]:
    """Report and raw results."""
    report = Path(folder) / suite.report
    return report, report.with_suffix('.json')


def _plain(grouped: Grouped, tuning: Tuning) -> list[dict]:
    """Every result once, by its name."""
    results = {
        result['cell']['name']: result
        for table in (grouped, tuning)
        for methods in table.values()
        for some in methods.values()
        for result in some.values()
    }
    return list(results.values())
