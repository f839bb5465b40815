# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The results of all evaluations as one table, beside those of the papers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pauc_mm.transfer.tables import markdown

from .published import FIGURES, METHODS, SOURCES
from .run import DONE, FAILED, NOT_RUN
from .task import Figure, Task

NOTHING = '-'


def table_rows(
    tasks: Sequence[Task], results: Mapping[str, dict]
) -> list[dict]:
    """A row for every figure, whether it was found here or not.

    Args:
        tasks (sequence of Task): In the order of the table.
        results (Mapping[str, dict]): Of :func:`~.run.run_tasks`.

    Returns:
        list[dict]: ``row``, ``task``, ``ours`` (mean and std in percent, or
        None), ``published`` (percent by method) and ``source``.
    """
    rows = []
    for task in tasks:
        result = results.get(task.name, {})
        figures = result.get('figures', {})
        for row, key in task.rows.items():
            if result.get('status') == DONE and row not in figures:
                continue  # such as k = 16 of classes of ten images
            rows.append(
                dict(
                    row=row,
                    task=task.name,
                    ours=figures.get(row),
                    published=FIGURES.get(key, {}),
                    source=SOURCES.get(key),
                )
            )
    return rows


def suite_table(
    title: str, tasks: Sequence[Task], results: Mapping[str, dict]
) -> str:
    """The table with what one must know to read it.

    Args:
        title (str): The checkpoint.
        tasks (sequence of Task): In the order of the table.
        results (Mapping[str, dict]): Of :func:`~.run.run_tasks`.

    Returns:
        str: Markdown.
    """
    rows = table_rows(tasks, results)
    shown = [m for m in METHODS if any(m in row['published'] for row in rows)]
    cells = [
        [
            row['row'],
            str(Figure(**row['ours'])) if row['ours'] else NOTHING,
            *(_percent(row['published'].get(method)) for method in shown),
        ]
        for row in rows
    ]
    parts = [
        f'# {title}',
        'Percent; ± is the deviation over draws. The columns after "this '
        'checkpoint" are what papers report of a ResNet-50; all but random '
        'and supervised were pretrained for 200 epochs without labels, on '
        'ImageNet-1k (for ImageNet-100 on it).',
        markdown(['evaluation', 'this checkpoint', *shown], cells),
    ]
    parts += _listed('How it was measured', _notes(tasks, results))
    for status, heading in ((FAILED, 'Failed'), (NOT_RUN, 'Not run')):
        parts += _listed(
            heading,
            _grouped(
                (task.name, results[task.name]['reason'])
                for task in tasks
                if results.get(task.name, {}).get('status') == status
            ),
        )
    parts += _listed('Sources', _sources(rows))
    return '\n\n'.join(parts) + '\n'


def _percent(value) -> str:
    return NOTHING if value is None else f'{value:g}'


def _listed(heading: str, lines: list[str]) -> list[str]:
    items = '\n'.join(f'- {line}' for line in lines)
    return [f'## {heading}', items] if lines else []


def _notes(tasks: Sequence[Task], results: Mapping[str, dict]) -> list[str]:
    return _grouped(
        (task.name, task.note)
        for task in tasks
        if results.get(task.name, {}).get('status') == DONE
    )


def _sources(rows: list[dict]) -> list[str]:
    return _grouped(
        ((row['row'], row['source']) for row in rows if row['source']), '; '
    )


def _grouped(pairs: Iterable[tuple], mark: str = ', ') -> list[str]:
    """A line for each text, with the names that share it."""
    names: dict[str, list[str]] = {}
    for name, text in pairs:
        names.setdefault(text, []).append(name)
    return [f'{mark.join(own)}: {text}' for text, own in names.items()]
