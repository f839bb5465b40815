# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the tables of a suite come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pauc_mm.utils.tables import (
    MISSING,
    Summary,
    markdown_table,
    paired_difference,
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
    """Whether PAUC's paper's order holds, by kNN and by a linear probe."""
    labels = [suite.methods[method].title for method in CLAIM]
    rows = []
    for data, methods in grouped.items():
        if not set(CLAIM) <= set(methods):
            continue
        seeds = set.intersection(*(set(methods[m]) for m in CLAIM))
        if len(seeds) < 2:  # without a standard error nothing can be said
            continue
        for column in (KNN, LINEAR):
            found = [
                mean_and_error(column, {s: methods[m][s] for s in seeds})
                for m in CLAIM
            ]
            cells = [summary.text(2) for summary in found]
            answer = _answer(found, labels)
            rows.append([data, column.title, str(len(seeds)), *cells, answer])
    if not rows:
        return ''
    return markdown_table(['data', 'by', 'seeds', *labels, ''], rows)


def _answer(found: Sequence[Summary], labels: Sequence[str]) -> str:
    """'yes', or what is wrong with each step from the better to the worse."""
    wrong = []
    for i, (better, other) in enumerate(zip(found, found[1:])):
        if above(other, better):
            wrong.append(f'{labels[i + 1]} is above {labels[i]}')
        elif not above(better, other):
            wrong.append(f'{labels[i]} and {labels[i + 1]} not told apart')
    return f'no: {", ".join(wrong)}' if wrong else 'yes'


def defaults_table(suite: Suite, grouped: Grouped) -> str:
    """The changes that are told apart from the baseline, and what follows.

    By kNN among the training images, so that no held-out image has a say.

    Args:
        suite (Suite): What was run.
        grouped (Mapping): Of :func:`~.results.group`.

    Returns:
        str: A Markdown table, or a sentence if it has no rows.
    """
    rows = []
    for name, method in suite.methods.items():
        found = {
            data: _difference(suite, grouped.get(data, {}), name)
            for data in suite.data
        }
        least = len(suite.seeds)
        signs = {data: _sign(one, least) for data, one in found.items()}
        if not any(signs.values()):
            continue
        cells = [
            MISSING
            if one is None
            else f'**{one.text(2, True)}**'
            if signs[data]
            else one.text(2, True)
            for data, one in found.items()
        ]
        rows.append([method.title, *cells, _verdict(signs, found)])
    if not rows:
        return (
            'No change is told apart from '
            f'{suite.methods[suite.baseline].label} on any of the data.'
        )
    return markdown_table(['change', *suite.data, ''], rows)


def _difference(
    suite: Suite, methods: Mapping[str, Mapping[int, dict]], name: str
) -> Summary | None:
    """None for the baseline too."""
    if name == suite.baseline:
        return None
    return paired_difference(
        KNN_TRAIN.by_seed(methods.get(name, {})),
        KNN_TRAIN.by_seed(methods.get(suite.baseline, {})),
    )


def _sign(found: Summary | None, least: int) -> int | None:
    """1 if above by more than the errors, -1 if below, 0 if neither.

    None for fewer pairs than the suite has seeds.
    """
    if found is None or found.number < least or found.spread is None:
        return None
    far = abs(found.mean) > ERRORS * found.spread
    return (1 if found.mean > 0 else -1) if far else 0


def by_chance(suite: Suite) -> float:
    """Share of changes that chance alone puts above by so many errors.

    Args:
        suite (Suite): Its number of seeds, n, decides.

    Returns:
        float: The upper tail of Student's t with n - 1 degrees of freedom,
        on one data set.
    """
    from scipy.stats import t

    return float(t.sf(ERRORS, len(suite.seeds) - 1))


def _verdict(
    signs: Mapping[str, int | None],
    found: Mapping[str, Summary | None],
) -> str:
    if set(signs.values()) == {1}:
        return 'better on all: becomes the default'
    if set(signs.values()) == {-1}:
        return 'worse on all'
    open_yet = [
        f'{data}: {"no result" if found[data] is None else "too few seeds"}'
        for data, sign in signs.items()
        if sign is None
    ]
    return ', '.join(open_yet) or 'not on all'
