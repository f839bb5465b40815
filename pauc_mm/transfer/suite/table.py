# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Format all results as one table beside those of the papers."""

from collections.abc import Iterable, Mapping, Sequence

from pauc_mm.utils.tables import MISSING, markdown_table

from .published import METHODS, PUBLISHED, SOURCES
from .run import DONE, FAILED, NOT_RUN
from .task import Score, Task


def table_rows(
    tasks: Sequence[Task], results: Mapping[str, dict]
) -> list[dict]:
    """Return a row for every score of :func:`~.run.run_tasks`, done or not.

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
    """Format :func:`table_rows` as Markdown, with failures and sources."""
    rows = table_rows(tasks, results)
    shown = [m for m in METHODS if any(m in row['published'] for row in rows)]
    cells = []
    for row in rows:
        ours = Score(**row['ours']) if row['ours'] else MISSING
        values = [row['published'].get(method) for method in shown]
        papers = [MISSING if v is None else f'{v:g}' for v in values]
        cells.append([row['row'], ours, *papers])
    parts = [
        f'# {title}',
        'Percent; ± is the deviation over draws. The columns after "this '
        'checkpoint" are published results of a ResNet-50. All but random and '
        'supervised were pretrained for 200 epochs without labels, on '
        'ImageNet-1k (on ImageNet-100 for its rows).',
        markdown_table(['evaluation', 'this checkpoint', *shown], cells),
    ]
    for heading, status in (
        ('How it was measured', DONE),
        ('Failed', FAILED),
        ('Not run', NOT_RUN),
    ):
        pairs = [
            (task.name, task.note if status == DONE else result['reason'])
            for task in tasks
            if (result := results.get(task.name, {})).get('status') == status
        ]
        parts += _section(heading, pairs)
    sources = [(row['row'], row['source']) for row in rows if row['source']]
    parts += _section('Sources', sources, '; ')
    return '\n\n'.join(parts) + '\n'


def _section(
    heading: str, pairs: Iterable[tuple], separator: str = ', '
) -> list[str]:
    """Return a list of texts, each after the names that share it."""
    names: dict[str, list[str]] = {}
    for name, text in pairs:
        names.setdefault(text, []).append(name)
    lines = [f'- {separator.join(n)}: {text}' for text, n in names.items()]
    return [f'## {heading}', '\n'.join(lines)] if lines else []
