# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Report of a suite: its tables in Markdown, with what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.runner import RunResult
from experiments.runner.result import provenance_lines

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
    Methods,
    accuracy_table,
    columns_with_numbers,
    difference_table,
    plain_table,
    tuning_table,
)
from .verdicts import CLAIM, ERRORS, by_chance, claim_table, defaults_table

# Most names of runs in a line of what is missing.
_NAMES = 8
_DATA = """\
## {title}

### Accuracy on held-out images, %

Of frozen features: kNN with k = 20, {train}of held-out images; a linear \
classifier on all labels; linear SVMs on 1, 5 and 10 labelled images a class, \
mean of the draws. Last column: mean {clock}time of an epoch, E-steps \
included, of runs on equal hardware.

{accuracy}

Difference from {baseline}, of equal seeds, ± its standard error:

{differences}

### Geometry of the embeddings

NEMD is no score: read it beside the others ([diagnosis.md](diagnosis.md)). \
Variance: within spherical k-means clusters of the training images; near 0 \
they have become points.

{geometry}

### Unique prototypes, %

Of k-means with the same K for all; columns: the cosine distance below which \
a prototype is a copy.

{unique}"""
_OWN = """\
Of the method's own (largest set), and which share of them is the nearest one \
of some training image:

{own}"""
_CLAIM = """\
## Is PAUC above PCL above MoCo v2?

Mean ± standard error over seeds. Yes: the means are in this order, and no \
two standard errors overlap. The limited number of held-out images is not in \
these errors.

{claims}"""
_DEFAULTS = """\
## Which defaults follow

Difference in kNN among the training images, of equal seeds, ± its standard \
error. In bold: significant, that is more than {errors} standard errors from \
zero. A default moves only by a change that is significant and positive on \
all data, with all seeds: chance alone would put {chance:.0%} of the \
{changes} changes so far above on one of the data sets. Changes that are \
nowhere significant are left out.

{table}"""


def suite_report(
    suite: Suite,
    grouped: Grouped,
    tuning: Tuning,
    command: str,
    missing: Sequence[str] = (),
    picture: str = '',
) -> str:
    """Write all tables, and the provenance of their numbers."""
    parts = [
        f'{suite.about} {_rates(grouped, tuning)} Mean ± standard deviation '
        'over seeds.'
    ]
    if picture:
        caption = 'Accuracy and collapse'
        if suite.is_ablation:
            caption = f'Differences from {suite.methods[suite.baseline].label}'
        parts.append(f'![{caption}]({picture})')
    for data, methods in grouped.items():
        parts += _data_sections(suite, data, methods)
    if tuning:
        parts += ['## Learning rates', tuning_table(suite, tuning)]
    if set(CLAIM) <= set(suite.methods):
        claims = claim_table(suite, grouped)
        if claims:
            parts.append(_CLAIM.format(claims=claims))
    if suite.is_ablation and grouped:
        parts.append(
            _DEFAULTS.format(
                errors=ERRORS,
                chance=by_chance(suite),
                changes=len(suite.methods) - 1,
                table=defaults_table(suite, grouped),
            )
        )
    if missing:
        parts += ['## Not in the tables', _gaps(missing)]
    parts += ['## Provenance', _provenance(grouped, tuning, command)]
    return '\n\n'.join(parts) + '\n'


def _data_sections(suite: Suite, data: str, methods: Methods) -> list[str]:
    """Write the tables of one data set."""
    label = suite.data[data].label
    train = ''
    if columns_with_numbers([KNN_TRAIN], methods):
        train = (
            'of the training images (each by the others: what choices are '
            'made by) and '
        )
    sections = [
        _DATA.format(
            title=label[0].upper() + label[1:],
            train=train,
            clock='processor ' if 'cpu' in suite.clock else '',
            accuracy=accuracy_table(suite, methods),
            baseline=suite.methods[suite.baseline].label,
            differences=difference_table(suite, methods, ACCURACY),
            geometry=plain_table(suite, methods, GEOMETRY),
            unique=plain_table(suite, methods, UNIQUE),
        )
    ]
    own = {m: r for m, r in methods.items() if OWN[0].summary(r)}
    if own:
        sections.append(_OWN.format(own=plain_table(suite, own, OWN)))
    return sections


def _gaps(missing: Sequence[str]) -> str:
    """List runs with the same reason on one line."""
    names: dict[str, list[str]] = {}
    for line in missing:
        name, _, reason = line.partition(': ')
        names.setdefault(reason, []).append(name)
    lines = []
    for reason, runs in names.items():
        more = f' and {len(runs) - _NAMES} more' if len(runs) > _NAMES else ''
        lines.append(f'- {", ".join(runs[:_NAMES])}{more}: {reason}')
    return '\n'.join(lines)


def _rates(grouped: Grouped, tuning: Tuning) -> str:
    best = chosen_rates(tuning)
    chosen = [
        result.setting['rate'] == best.get((data, method))
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


def _provenance(grouped: Grouped, tuning: Tuning, command: str) -> str:
    groups = [by_seed for ms in grouped.values() for by_seed in ms.values()]
    rates = [by_rate for ms in tuning.values() for by_rate in ms.values()]
    # A rate that a recipe has is in both.
    results = {r.name: r for g in (*groups, *rates) for r in g.values()}
    return '\n'.join(
        [
            f'```bash\n{command}\n```',
            '',
            *provenance_lines(list(results.values())),
            '',
            'The configs, with the digest of each seed:',
            '',
            *map(_config_line, groups),
        ]
    )


def _config_line(by_seed: Mapping[int, RunResult]) -> str:
    first = next(iter(by_seed.values()))
    changes = ' '.join(
        f'{key}={value}'
        for key, value in first.run['options'].items()
        if key != 'randomness.seed'
    )
    digests = sorted({result.digest for result in by_seed.values()})
    return (
        f'- `{first.run["config"]}`'
        + (f' with `{changes}`' if changes else '')
        + f', {first.epochs} epochs, {", ".join(digests)}'
    )
