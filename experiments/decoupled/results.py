# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Table columns of the study, computed from its runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from experiments.runner import Column, RunResult, metric_column
from experiments.runner.column import BySeed
from experiments.runner.unique_shares_hook import EPSILONS, FILE_NAME

# (data, tail) -> method -> seed -> result
Grouped = Mapping[tuple[str, str], Mapping[str, BySeed]]


def group(results: Sequence[RunResult]) -> dict:
    """Sort results by data and tail, method and seed."""
    grouped: dict = {}
    for result in results:
        setting = result.setting
        methods = grouped.setdefault((setting['data'], setting['tail']), {})
        methods.setdefault(setting['method'], {})[setting['seed']] = result
    return grouped


def records(result: RunResult) -> list[dict]:
    """Return what was recorded during the training, by epoch.

    Returns:
        list[dict]: ``epoch`` and the result of
        :func:`~experiments.runner.prototype_usage` for the only
        set of prototypes.
    """
    lines = result.records[FILE_NAME]
    return [
        {'epoch': line['epoch'], **line['sets'][0]}
        for line in sorted(lines, key=lambda line: line['epoch'])
    ]


def _at_the_end(
    name: str, factor: float, index: int | None = None
) -> Callable[[RunResult], float]:
    def value(result: RunResult) -> float:
        last = records(result)[-1][name]
        return factor * (last if index is None else last[index])

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
    metric_column('all', 'knn/k20', 100),
    metric_column('head', 'knn/k20_head', 100),
    metric_column('middle', 'knn/k20_middle', 100),
    metric_column('tail', 'knn/k20_tail', 100),
)
