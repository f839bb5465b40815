# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Conclusions from the tables of a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.runner.column import BySeed
from pauc_mm.utils.tables import (
    Summary,
    markdown_table,
    summary_text,
)

from .results import (
    KNN,
    KNN_TRAIN,
    LINEAR,
    Grouped,
    above,
    mean_and_error,
)
from .settings import Suite

# The claim of PAUC's paper, from the best to the worst.
CLAIM = ('pauc', 'pclv2', 'mocov2')
# Standard errors by which a change must be above a default to replace it.
ERRORS = 2


def claim_table(suite: Suite, grouped: Grouped) -> str:
    """Test the order of PAUC's paper, by kNN and by a linear probe."""
    labels = [suite.methods[method].title for method in CLAIM]
    rows = []
    for data, methods in grouped.items():
        if not set(CLAIM) <= set(methods):
            continue
        seeds = set.intersection(*(set(methods[m]) for m in CLAIM))
        if len(seeds) < 2:  # without a standard error nothing can be said
            continue
        for column in (KNN, LINEAR):
            summaries = [
                mean_and_error(column, {s: methods[m][s] for s in seeds})
                for m in CLAIM
            ]
            cells = [summary.text(2) for summary in summaries]
            answer = _answer(summaries, labels)
            rows.append([data, column.title, len(seeds), *cells, answer])
    if not rows:
        return ''
    return markdown_table(['data', 'by', 'seeds', *labels, ''], rows)


def _answer(summaries: Sequence[Summary], labels: Sequence[str]) -> str:
    """Return 'yes', or what is wrong with each step down the order."""
    wrong = []
    for i, (better, other) in enumerate(zip(summaries, summaries[1:])):
        if above(other, better):
            wrong.append(f'{labels[i + 1]} is above {labels[i]}')
        elif not above(better, other):
            wrong.append(
                f'{labels[i]} against {labels[i + 1]} is within noise'
            )
    return f'no: {", ".join(wrong)}' if wrong else 'yes'


def defaults_table(suite: Suite, grouped: Grouped) -> str:
    """Tabulate the significant changes and the defaults that follow.

    The metric is kNN among the training images, so that no held-out image
    has a say.
    """
    rows = []
    for name, method in suite.methods.items():
        differences = {
            data: _difference(suite, grouped.get(data, {}), name)
            for data in suite.data
        }
        least = len(suite.seeds)
        signs = {data: _sign(d, least) for data, d in differences.items()}
        if not any(signs.values()):
            continue
        texts = {d: summary_text(s, 2, True) for d, s in differences.items()}
        cells = [f'**{t}**' if signs[d] else t for d, t in texts.items()]
        rows.append([method.title, *cells, _verdict(signs, differences)])
    if not rows:
        return (
            'No change differs significantly from '
            f'{suite.methods[suite.baseline].label} on any of the data.'
        )
    return markdown_table(['change', *suite.data, ''], rows)


def _difference(
    suite: Suite, methods: Mapping[str, BySeed], name: str
) -> Summary | None:
    """Return the paired difference; None for the baseline."""
    if name == suite.baseline:
        return None
    return KNN_TRAIN.difference(
        methods.get(name, {}), methods.get(suite.baseline, {})
    )


def _sign(difference: Summary | None, least: int) -> int | None:
    """Return the sign of a significant difference, else 0.

    None for fewer pairs than the suite has seeds.
    """
    if difference is None or difference.number < least:
        return None
    if difference.spread is None:
        return None
    if abs(difference.mean) <= ERRORS * difference.spread:
        return 0
    return 1 if difference.mean > 0 else -1


def by_chance(suite: Suite) -> float:
    """Return the share of changes that chance alone makes significant."""
    from scipy.stats import t

    return float(t.sf(ERRORS, len(suite.seeds) - 1))


def _verdict(
    signs: Mapping[str, int | None],
    differences: Mapping[str, Summary | None],
) -> str:
    if set(signs.values()) == {1}:
        return 'better on all: becomes the default'
    if set(signs.values()) == {-1}:
        return 'worse on all'
    open_yet = [
        f'{data}: '
        + ('no result' if differences[data] is None else 'too few seeds')
        for data, sign in signs.items()
        if sign is None
    ]
    return ', '.join(open_yet) or 'not on all'
