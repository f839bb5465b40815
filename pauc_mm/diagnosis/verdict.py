# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Judge measures in words."""

from dataclasses import dataclass

from .criteria import CRITERIA

LEVELS = ('good', 'watch', 'bad')
COLLAPSES = (
    'complete collapse',
    'dimensional collapse',
    'partial prototype collapse',
    'unused prototypes',
    'coagulated prototypes',
    'voids',
)
"""Kinds of collapse in the order of a title."""


@dataclass(frozen=True)
class Verdict:
    """Judgement of all measures together.

    Attributes:
        level (str): 'good', 'watch' or 'bad'.
        title (str): One line.
        sentences (list[str]): Findings, the worst first.
    """

    level: str
    title: str
    sentences: list[str]


def judge(values: dict[str, float]) -> Verdict:
    """Judge the values of :func:`~.measures.headline`.

    The level is that of the worst; each that is not good has a sentence.
    """
    levels = {c: c.level(values[c.key]) for c in CRITERIA if c.key in values}
    sentences = [
        f'{getattr(criterion, f"if_{level}")} ({criterion.name} '
        f'{values[criterion.key]:.3g}, healthy: {criterion.healthy})'
        for wanted in ('bad', 'watch')
        for criterion, level in levels.items()
        if level == wanted
    ]
    judged = [level for level in levels.values() if level is not None]
    worst = max(judged, key=LEVELS.index)
    if worst == 'good':
        sentences.append(
            f'All {len(judged)} measures with a healthy range are within it.'
        )
    if 'empty_share' not in values:
        sentences.append(
            'Sizes of prototypes and the variance within them were not '
            'judged: that takes at least four prototypes and ten images for '
            'each.'
        )
    return Verdict(worst, _title(levels, worst), sentences)


def _title(levels: dict, worst: str) -> str:
    if worst == 'good':
        return 'No collapse found.'
    kinds = {c.collapse for c, level in levels.items() if level == worst}
    named = [kind for kind in COLLAPSES if kind in kinds]
    if COLLAPSES[0] in named:  # it implies the others
        named = named[:1]
    if not named:
        return 'No collapse found, but something to look at.'
    text = ', '.join(named)
    return f'Collapsed: {text}.' if worst == 'bad' else f'Signs of {text}.'
