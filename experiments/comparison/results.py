# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Table columns of a suite, computed from its runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from experiments.runner import Column, RunResult, metric_column
from pauc_mm.utils.tables import Summary, mean_and_deviation

from .prototype_collapse import EPSILONS

# data -> method -> seed -> result
Grouped = Mapping[str, Mapping[str, Mapping[int, RunResult]]]
# data -> method -> learning rate -> result
Tuning = Mapping[str, Mapping[str, Mapping[float, RunResult]]]

KNN_TRAIN = metric_column('kNN, training', 'accuracy/knn_train', 100)
KNN = metric_column('kNN', 'accuracy/knn', 100)
LINEAR = metric_column('linear', 'accuracy/linear', 100)
ACCURACY = (
    KNN_TRAIN,
    KNN,
    LINEAR,
    *(
        metric_column(f'{k} label{"s" * (k > 1)}', f'accuracy/shot{k}', 100)
        for k in (1, 5, 10)
    ),
)
INTRA_VARIANCE = metric_column('variance', 'prototypes/intra_variance', 1, 3)
EFFECTIVE_RANK = metric_column(
    'effective rank', 'nemd_labels/effective_rank', 1, 1
)
GEOMETRY = (
    metric_column('NEMD, labels', 'nemd_labels/value', 1, 3),
    metric_column('NEMD, clusters', 'nemd_clusters/value', 1, 3),
    metric_column('uniformity', 'nemd_labels/uniformity', 1, 2),
    EFFECTIVE_RANK,
    INTRA_VARIANCE,
)
UNIQUE = tuple(
    metric_column(f'{epsilon:g}', f'prototypes/unique_{epsilon:g}', 100)
    for epsilon in EPSILONS
)
OWN = (
    metric_column('prototypes', 'prototypes/own_number', 1, 0),
    metric_column('used, %', 'prototypes/own_used', 100),
    *(
        metric_column(
            f'{epsilon:g}', f'prototypes/own_unique_{epsilon:g}', 100
        )
        for epsilon in EPSILONS
    ),
)


def group(results: Sequence[RunResult]) -> dict:
    """Sort results by data, method and seed, in their order."""
    return _sorted(results, 'seed')


def group_tuning(results: Sequence[RunResult], least: int = 2) -> dict:
    """Sort results of one seed by data, method and learning rate.

    Args:
        results (sequence of RunResult): As for :func:`group`.
        least (int): Methods with fewer rates are left out. Defaults to 2:
            one rate leaves no choice.

    Returns:
        dict: Data to method to rate to result, without methods whose
        trainings have all diverged.
    """
    grouped: dict = {}
    for data, methods in _sorted(results, 'rate').items():
        for method, by_rate in methods.items():
            alive = any(not r.diverged for r in by_rate.values())
            if alive and len(by_rate) >= least:
                grouped.setdefault(data, {})[method] = by_rate
    return grouped


def _sorted(results: Sequence[RunResult], last: str) -> dict:
    grouped: dict = {}
    for result in results:
        setting = result.setting
        methods = grouped.setdefault(setting['data'], {})
        methods.setdefault(setting['method'], {})[setting[last]] = result
    return grouped


def best_rate(by_rate: Mapping[float, RunResult]) -> float:
    """Return the rate of the best kNN among the training images.

    The lowest of equals wins.
    """
    return max(
        sorted(rate for rate in by_rate if not by_rate[rate].diverged),
        key=lambda rate: KNN_TRAIN.value(by_rate[rate]),
    )


def chosen_rates(tuning: Tuning) -> dict[tuple[str, str], float]:
    """Return the best rate of each method on each data set."""
    return {
        (data, method): best_rate(by_rate)
        for data, methods in tuning.items()
        for method, by_rate in methods.items()
    }


def mean_and_error(
    column: Column, by_seed: Mapping[int, RunResult]
) -> Summary | None:
    """Return mean and standard error over seeds; None without any."""
    summary = column.summary(by_seed)
    if summary is None or summary.spread is None:
        return summary
    error = summary.spread / math.sqrt(summary.number)
    return replace(summary, spread=error)


def above(better: Summary, other: Summary) -> bool:
    """Return whether two means differ by more than both standard errors."""
    return better.mean - better.spread > other.mean + other.spread


def epoch_ratio(
    methods: Mapping[str, Mapping[int, RunResult]],
    method: str,
    baseline: str,
    clock: str,
) -> Summary | None:
    """Return the time of an epoch as a multiple of the baseline's.

    None where no seed is in both, or threads or hardware were unequal.
    """
    ratios = []
    for seed, result in methods[method].items():
        other = methods.get(baseline, {}).get(seed)
        if other is None or (result.threads, result.hardware) != (
            other.threads,
            other.hardware,
        ):
            continue
        times = getattr(result, clock), getattr(other, clock)
        if all(times):
            ratios.append(times[0] / times[1])
    return mean_and_deviation(ratios)
