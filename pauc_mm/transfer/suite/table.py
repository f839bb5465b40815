# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Format all results as one table beside those of the papers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pauc_mm.utils.tables import MISSING, markdown_table

from .published import METHODS, PUBLISHED, SOURCES
from .run import DONE, FAILED, NOT_RUN
from .task import Score, Task


def table_rows(
    tasks: Sequence[Task], results: Mapping[str, dict]
) -> list[dict]:
    """Return a row for every score, whether it was measured here or not.

    Args:
        tasks (sequence of Task): In the order of the table.
        results (Mapping[str, dict]): See :func:`~.run.run_tasks`.

    Returns:
        list[dict]: ``row``, ``task``, ``ours`` (mean and std in percent, or
        None), ``published`` (percent by method) and ``source``.
    """
    rows = []
    for task in tasks:
        result = results.get(task.name, {})
        scores = result.get('figures', {})
        for row, key in task.rows.items():
            if result.get('status') == DONE and row not in scores:
                continue  # such as k = 16 of classes of ten images
            rows.append(
                dict(
                    row=row,
                    task=task.name,
                    ours=scores.get(row),
                    published=PUBLISHED.get(key, {}),
                    source=SOURCES.get(key),
                )
            )
    return rows


def suite_table(
    title: str, tasks: Sequence[Task], results: Mapping[str, dict]
) -> str:
    """Format the table with notes, failures and sources.

    Args:
        title (str): The checkpoint.
        tasks (sequence of Task): In the order of the table.
        results (Mapping[str, dict]): See :func:`~.run.run_tasks`.

    Returns:
        str: Markdown.
    """
    rows = table_rows(tasks, results)
    shown = [m for m in METHODS if any(m in row['published'] for row in rows)]
    cells = [
        [
            row['row'],
            Score(**row['ours']) if row['ours'] else MISSING,
            *(_percent(row['published'].get(method)) for method in shown),
        ]
        for row in rows
    ]
    parts = [
        f'# {title}',
        'Percent; ± is the deviation over draws. The columns after "this '
        'checkpoint" are published results of a ResNet-50. All but random and '
        'supervised were pretrained for 200 epochs without labels, on '
        'ImageNet-1k (on ImageNet-100 for its rows).',
        markdown_table(['evaluation', 'this checkpoint', *shown], cells),
    ]
    by_status = {
        status: [t for t in tasks if _status(t, results) == status]
        for status in (DONE, FAILED, NOT_RUN)
    }
    notes = [(task.name, task.note) for task in by_status[DONE]]
    parts += _section('How it was measured', _grouped(notes))
    for status, heading in ((FAILED, 'Failed'), (NOT_RUN, 'Not run')):
        reasons = [
            (t.name, results[t.name]['reason']) for t in by_status[status]
        ]
        parts += _section(heading, _grouped(reasons))
    sources = [(row['row'], row['source']) for row in rows if row['source']]
    parts += _section('Sources', _grouped(sources, '; '))
    return '\n\n'.join(parts) + '\n'


def _status(task: Task, results: Mapping[str, dict]) -> str | None:
    return results.get(task.name, {}).get('status')


def _percent(value: float | None) -> str:
    return MISSING if value is None else f'{value:g}'


def _section(heading: str, lines: list[str]) -> list[str]:
    items = '\n'.join(f'- {line}' for line in lines)
    return [f'## {heading}', items] if lines else []


def _grouped(pairs: Iterable[tuple], separator: str = ', ') -> list[str]:
    """Return a line for each text, with the names that share it."""
    names: dict[str, list[str]] = {}
    for name, text in pairs:
        names.setdefault(text, []).append(name)
    return [
        f'{separator.join(group)}: {text}' for text, group in names.items()
    ]
