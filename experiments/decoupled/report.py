# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Report of the study in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.runner import Column
from experiments.runner.result import provenance_lines
from pauc_mm.utils.tables import markdown_table

from .results import KNN, UNIQUE, UNIQUE_USED, USED, Grouped, records
from .settings import METHODS

_TABLES = (
    (
        'Unique prototypes, % of all, after the last epoch',
        'A prototype is a copy if its cosine distance to one kept before is '
        'below the threshold in the heading.',
        UNIQUE,
    ),
    (
        'Prototypes in use',
        'Prototypes that are the nearest one, by cosine, of at least one '
        'training image. Perplexity: number of equally used prototypes with '
        'the same entropy. Rounding decides which of several coinciding '
        'prototypes is the nearest, so read this with the next table.',
        USED,
    ),
    (
        'Unique prototypes, % of those in use',
        'Columns: the threshold.',
        UNIQUE_USED,
    ),
    (
        'kNN accuracy, %, k = 20',
        'Accuracy of the backbone on held-out images, against the balanced '
        'training images. Head, middle and tail: mean over the 4 most '
        'frequent, 3 middling and 3 rarest classes of the training set.',
        KNN,
    ),
)


def study_report(
    grouped: Grouped, command: str, missing: Sequence[str] = ()
) -> str:
    """Write all tables, and the provenance of their numbers."""
    parts = [
        '# Do decoupled prototypes collapse?',
        'Mean ± standard deviation over seeds; rows with a minus: differences '
        'paired by seed, mean ± standard error.',
    ]
    for title, note, columns in _TABLES:
        parts += [f'## {title}', note, study_table(grouped, columns)]
    if missing:
        lines = '\n'.join(f'- {line}' for line in missing)
        parts += ['## Not in the tables', lines]
    parts += ['## Provenance', _provenance(grouped, command)]
    return '\n\n'.join(parts) + '\n'


def study_table(grouped: Grouped, columns: Sequence[Column]) -> str:
    """Tabulate a row for each data set, tail and method, and differences."""
    baseline = next(iter(METHODS))
    rows = []
    for (data, tail), methods in grouped.items():
        for method, by_seed in methods.items():
            cells = [column.text(by_seed) for column in columns]
            name = METHODS[method].label
            rows.append([data, tail, name, str(len(by_seed)), *cells])
        for method, by_seed in methods.items():
            if method == baseline or baseline not in methods:
                continue
            other = methods[baseline]
            cells = [c.difference_text(by_seed, other) for c in columns]
            name = f'{METHODS[method].label} - {METHODS[baseline].label}'
            pairs = len(set(by_seed) & set(other))
            rows.append([data, tail, name, str(pairs), *cells])
    header = ['data', 'training set', 'method', 'seeds']
    return markdown_table([*header, *(c.title for c in columns)], rows)


def _provenance(grouped: Grouped, command: str) -> str:
    results = [
        result
        for methods in grouped.values()
        for by_seed in methods.values()
        for result in by_seed.values()
    ]
    lines = [f'```bash\n{command}\n```', '']
    for data, tail in grouped:
        for method, by_seed in grouped[data, tail].items():
            first = next(iter(by_seed.values()))
            changes = {
                key: value
                for key, value in first.run['options'].items()
                if key in METHODS[method].options
            }
            changed = ' '.join(f'{k}={v}' for k, v in changes.items())
            last = records(first)[-1]
            lines.append(
                f'- {data}, {tail}, {METHODS[method].label}: '
                f'`{first.run["config"]}`'
                + (f' with `{changed}`' if changed else '')
                + f', {first.epochs} epochs, {last["images"]} images, '
                f'{last["prototypes"]} prototypes, config '
                f'{", ".join(sorted({r.digest for r in by_seed.values()}))}'
            )
    lines += provenance_lines(results)
    return '\n'.join(lines)
