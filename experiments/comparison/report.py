# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The tables of a suite as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.runner.made import made_lines

from .results import (
    ACCURACY,
    GEOMETRY,
    KNN_TRAIN,
    OWN,
    UNIQUE,
    Grouped,
    Tuning,
    chosen_rates,
)
from .settings import Suite
from .tables import (
    accuracy_table,
    columns_with_numbers,
    difference_table,
    plain_table,
    tuning_table,
)
from .verdicts import (
    CLAIM,
    ERRORS,
    by_chance,
    claim_table,
    defaults_table,
)

# Most names of cells in a line of what is missing.
_NAMES = 8


def suite_report(
    suite: Suite,
    grouped: Grouped,
    tuning: Tuning,
    command: str,
    missing: Sequence[str] = (),
    picture: str = '',
) -> str:
    """All tables, and with what they were made.

    Args:
        suite (Suite): What was run.
        grouped (Mapping): Of :func:`~.results.group`; may be empty.
        tuning (Mapping): Of :func:`~.results.group_tuning`; may be empty.
        command (str): That makes them again.
        missing (sequence of str): What is not in them, and why.
        picture (str): As it is reached from the report. Defaults to '': none.

    Returns:
        str: Markdown, without a heading.
    """
    parts = [
        f'{suite.about} {_rates(grouped, tuning)} Mean ± standard deviation '
        'over seeds.',
        *([f'![{_caption(suite)}]({picture})'] if picture else []),
    ]
    for data, methods in grouped.items():
        label = suite.data[data].label
        parts += [
            f'## {label[0].upper()}{label[1:]}',
            '### Accuracy on held-out images, %',
            'Of frozen features: kNN with k = 20, '
            + (
                'of the training images (each by the others: what choices are '
                'made by) and of held-out ones; '
                if columns_with_numbers([KNN_TRAIN], methods)
                else ''
            )
            + 'a linear classifier on all labels; linear SVMs on 1, 5 and '
            '10 labelled images a class, mean of the draws. Last column: the '
            'mean epoch, E-steps included, in '
            + ('processor ' if 'cpu' in suite.clock else '')
            + 'time, of runs on equal hardware.',
            accuracy_table(suite, methods),
            f'Difference from {suite.methods[suite.baseline].label}, of equal '
            'seeds, ± its standard error:',
            difference_table(suite, methods, ACCURACY),
            '### Geometry of the embeddings',
            'NEMD is no score: read it beside the others '
            '([diagnosis.md](diagnosis.md)). Variance: within spherical '
            'k-means clusters of the training images; near 0 they have become '
            'points.',
            plain_table(suite, methods, GEOMETRY),
            '### Unique prototypes, %',
            'Of k-means with the same K for all; columns: the cosine distance '
            'below which a prototype is a copy.',
            plain_table(suite, methods, UNIQUE),
        ]
        own = {m: r for m, r in methods.items() if OWN[0].summary(r)}
        if own:
            parts += [
                "Of the method's own (largest set), and which share of them "
                'is the nearest one of some training image:',
                plain_table(suite, own, OWN),
            ]
    if tuning:
        parts += ['## Learning rates', tuning_table(suite, tuning)]
    if set(CLAIM) <= set(suite.methods):
        claims = claim_table(suite, grouped)
        if claims:
            parts += [
                '## Is PAUC above PCL above MoCo v2?',
                'Mean ± standard error over seeds. Yes: the means are in this '
                'order, and no two standard errors overlap. That there are '
                'only so many held-out images is not in these errors.',
                claims,
            ]
    if suite.is_ablation and grouped:
        parts += [
            '## Which defaults follow',
            'Difference in kNN among the training images, of equal seeds, ± '
            f'its standard error. In bold: more than {ERRORS} standard errors '
            'from zero. A default is moved only by what is in bold and '
            'positive on all data, with all seeds: chance alone would put '
            f'{by_chance(suite):.0%} of the {len(suite.methods) - 1} changes '
            'so far above on one of the data sets. Changes that are nowhere '
            'in bold are left out.',
            defaults_table(suite, grouped),
        ]
    if missing:
        parts += ['## Not in the tables', _gaps(missing)]
    parts += ['## How this was made', _made(grouped, tuning, command)]
    return '\n\n'.join(parts) + '\n'


def _caption(suite: Suite) -> str:
    if suite.is_ablation:
        return f'Differences from {suite.methods[suite.baseline].label}'
    return 'Accuracy and collapse'


def _gaps(missing: Sequence[str]) -> str:
    """Cells with the same reason on one line."""
    names: dict[str, list[str]] = {}
    for line in missing:
        name, _, reason = line.partition(': ')
        names.setdefault(reason, []).append(name)
    lines = []
    for reason, some in names.items():
        shown, rest = some[:_NAMES], len(some) - _NAMES
        more = f' and {rest} more' if rest > 0 else ''
        lines.append(f'- {", ".join(shown)}{more}: {reason}')
    return '\n'.join(lines)


def _rates(grouped: Grouped, tuning: Tuning) -> str:
    best = chosen_rates(tuning)
    chosen = [
        result['cell']['place']['rate'] == best.get((data, method))
        for data, methods in grouped.items()
        for method, by_seed in methods.items()
        for result in by_seed.values()
    ]
    if chosen and all(chosen):
        return (
            'The learning rate of each was chosen by kNN among the training '
            'images, see the end.'
        )
    if tuning:
        return "Learning rates are the recipes', or those in the tables."
    return "Learning rates are the recipes'."


def _made(grouped: Grouped, tuning: Tuning, command: str) -> str:
    cells = [by_seed for own in grouped.values() for by_seed in own.values()]
    rates = [by_rate for own in tuning.values() for by_rate in own.values()]
    # A rate that a recipe has is in both.
    results = {
        result['cell']['name']: result
        for some in (*cells, *rates)
        for result in some.values()
    }
    lines = [f'```bash\n{command}\n```', '']
    lines += made_lines(list(results.values()))
    lines += ['', 'The configs, with the digest of each seed:', '']
    return '\n'.join([*lines, *map(_config_line, cells)])


def _config_line(by_seed) -> str:
    some = next(iter(by_seed.values()))
    changes = ' '.join(
        f'{key}={value}'
        for key, value in some['cell']['options'].items()
        if key != 'randomness.seed'
    )
    digests = sorted({result['digest'] for result in by_seed.values()})
    return (
        f'- `{some["cell"]["config"]}`'
        + (f' with `{changes}`' if changes else '')
        + f', {some["epochs"]} epochs, {", ".join(digests)}'
    )
