# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The figures of the study, out of the results of its cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ..hooks.unique_shares_hook import EPSILONS, FILE_NAME

# (data, tail) -> method -> seed -> result
Grouped = Mapping[tuple, Mapping[str, Mapping[int, dict]]]


def group(results: Sequence[dict]) -> dict:
    """Sort results by data and tail, method and seed.

    Args:
        results (sequence of dict): Of :func:`pauc_mm.matrix.worker.run_cell`,
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
        :func:`~pauc_mm.hooks.prototype_usage.prototype_usage` gives of the
        one set of prototypes.
    """
    lines = result['records'][FILE_NAME]
    return [
        {'epoch': line['epoch'], **line['sets'][0]}
        for line in sorted(lines, key=lambda line: line['epoch'])
    ]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title (str): Its heading.
        value (callable): From a result to the number, or None.
        digits (int): Decimals. Defaults to 1.
    """

    title: str
    value: Callable[[dict], Optional[float]]
    digits: int = 1

    def by_seed(self, results: Mapping[int, dict]) -> dict[int, float]:
        """The numbers that there are."""
        found = {seed: self.value(r) for seed, r in results.items()}
        return {s: value for s, value in found.items() if value is not None}


def _at_the_end(
    name: str, factor: float, place: Optional[int] = None
) -> Callable[[dict], float]:
    def value(result: dict) -> float:
        last = records(result)[-1][name]
        return factor * (last if place is None else last[place])

    return value


def _accuracy(name: str) -> Callable[[dict], Optional[float]]:
    def value(result: dict) -> Optional[float]:
        figure = result['figures'].get(name)
        return None if figure is None else 100 * figure

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
    Column('all', _accuracy('knn/k20')),
    Column('head', _accuracy('knn/k20_head')),
    Column('middle', _accuracy('knn/k20_middle')),
    Column('tail', _accuracy('knn/k20_tail')),
)
