# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The figures of the study, out of the results of its cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from experiments.runner.column import Column, figure_column
from pauc_mm.engine.hooks.unique_shares_hook import EPSILONS, FILE_NAME

# (data, tail) -> method -> seed -> result
Grouped = Mapping[tuple, Mapping[str, Mapping[int, dict]]]


def group(results: Sequence[dict]) -> dict:
    """Sort results by data and tail, method and seed.

    Args:
        results (sequence of dict): Results of ``worker.run_cell``,
            in the order of the rows.

    Returns:
        dict: (data, tail) to method to seed to result.
    """
    grouped: dict = {}
    for result in results:
        place = result['cell']['place']
        own = grouped.setdefault((place['data'], place['tail']), {})
        own.setdefault(place['method'], {})[place['seed']] = result
    return grouped


def records(result: dict) -> list[dict]:
    """What was recorded over the training, by epoch.

    Returns:
        list[dict]: ``epoch`` and what
        :func:`~pauc_mm.evaluation.functional.prototype_usage` gives of
        the one set of prototypes.
    """
    lines = result['records'][FILE_NAME]
    return [
        {'epoch': line['epoch'], **line['sets'][0]}
        for line in sorted(lines, key=lambda line: line['epoch'])
    ]


def _at_the_end(
    name: str, factor: float, place: int | None = None
) -> Callable[[dict], float]:
    def value(result: dict) -> float:
        last = records(result)[-1][name]
        return factor * (last if place is None else last[place])

    return value


UNIQUE = tuple(
    Column(f'{epsilon:g}', _at_the_end('unique', 100, i))
    for i, epsilon in enumerate(EPSILONS)
)
USED = (
    Column('used', _at_the_end('used', 1), 0),
    Column('used, %', _at_the_end('used_share', 100)),
    Column('perplexity', _at_the_end('perplexity', 1)),
)
UNIQUE_USED = tuple(
    Column(f'{epsilon:g}', _at_the_end('unique_used', 100, i))
    for i, epsilon in enumerate(EPSILONS)
)
KNN = (
    figure_column('all', 'knn/k20', 100),
    figure_column('head', 'knn/k20_head', 100),
    figure_column('middle', 'knn/k20_middle', 100),
    figure_column('tail', 'knn/k20_tail', 100),
)
