# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The figures of a suite, out of the results of its cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from experiments.runner.column import Column, figure_column
from pauc_mm.utils.tables import Summary, mean_and_deviation

from .prototype_collapse import EPSILONS

# data -> method -> seed -> result
Grouped = Mapping[str, Mapping[str, Mapping[int, dict]]]
# data -> method -> learning rate -> result
Tuning = Mapping[str, Mapping[str, Mapping[float, dict]]]

KNN_TRAIN = figure_column('kNN, training', 'accuracy/knn_train', 100)
KNN = figure_column('kNN', 'accuracy/knn', 100)
LINEAR = figure_column('linear', 'accuracy/linear', 100)
ACCURACY = (
    KNN_TRAIN,
    KNN,
    LINEAR,
    *(
        figure_column(f'{k} label{"s" * (k > 1)}', f'accuracy/shot{k}', 100)
        for k in (1, 5, 10)
    ),
)
INTRA_VARIANCE = figure_column('variance', 'prototypes/intra_variance', 1, 3)
EFFECTIVE_RANK = figure_column(
    'effective rank', 'nemd_labels/effective_rank', 1, 1
)
GEOMETRY = (
    figure_column('NEMD, labels', 'nemd_labels/value', 1, 3),
    figure_column('NEMD, clusters', 'nemd_clusters/value', 1, 3),
    figure_column('uniformity', 'nemd_labels/uniformity', 1, 2),
    EFFECTIVE_RANK,
    INTRA_VARIANCE,
)
UNIQUE = tuple(
    figure_column(f'{epsilon:g}', f'prototypes/unique_{epsilon:g}', 100)
    for epsilon in EPSILONS
)
OWN = (
    figure_column('prototypes', 'prototypes/own_number', 1, 0),
    figure_column('used, %', 'prototypes/own_used', 100),
    *(
        figure_column(
            f'{epsilon:g}', f'prototypes/own_unique_{epsilon:g}', 100
        )
        for epsilon in EPSILONS
    ),
)


def group(results: Sequence[dict]) -> dict:
    """Sort results by data, method and seed, in their order.

    Args:
        results (sequence of dict): Results of ``worker.run_cell``.

    Returns:
        dict: Data to method to seed to result.
    """
    return _sorted(results, 'seed')


def group_tuning(results: Sequence[dict], least: int = 2) -> dict:
    """Sort results of one seed by data, method and learning rate.

    Args:
        results (sequence of dict): As for :func:`group`.
        least (int): Methods with fewer rates are left out. Defaults to 2:
            of one there is nothing to choose.

    Returns:
        dict: Data to method to rate to result, without methods all of whose
        trainings have diverged.
    """
    grouped: dict = {}
    for data, methods in _sorted(results, 'rate').items():
        for method, by_rate in methods.items():
            some = [r for r in by_rate.values() if not r.get('diverged')]
            if some and len(by_rate) >= least:
                grouped.setdefault(data, {})[method] = by_rate
    return grouped


def _sorted(results: Sequence[dict], last: str) -> dict:
    grouped: dict = {}
    for result in results:
        place = result['cell']['place']
        methods = grouped.setdefault(place['data'], {})
        methods.setdefault(place['method'], {})[place[last]] = result
    return grouped


def best_rate(by_rate: Mapping[float, dict]) -> float:
    """The rate of the best kNN among the training images.

    Of equals the lowest.

    Args:
        by_rate (Mapping[float, dict]): Results, one of which at least has not
            diverged.
    """
    return max(
        sorted(rate for rate in by_rate if not by_rate[rate].get('diverged')),
        key=lambda rate: KNN_TRAIN.value(by_rate[rate]),
    )


def chosen_rates(tuning: Tuning) -> dict[tuple[str, str], float]:
    """The best rate of each method on each data set.

    Args:
        tuning (Mapping): Of :func:`group_tuning`.

    Returns:
        dict[tuple[str, str], float]: By (data, method).
    """
    return {
        (data, method): best_rate(by_rate)
        for data, methods in tuning.items()
        for method, by_rate in methods.items()
    }


def mean_and_error(
    column: Column, by_seed: Mapping[int, dict]
) -> Summary | None:
    """Mean and standard error of the mean over seeds; None without any."""
    found = mean_and_deviation(list(column.by_seed(by_seed).values()))
    if found is None or found.spread is None:
        return found
    error = found.spread / math.sqrt(found.number)
    return Summary(found.mean, error, found.number)


def above(better: Summary, other: Summary) -> bool:
    """Whether one mean is above another by more than both standard errors."""
    return better.mean - better.spread > other.mean + other.spread


_MEANS = ('threads', 'hardware')


def epoch_ratio(
    methods: Mapping[str, Mapping[int, dict]],
    method: str,
    baseline: str,
    clock: str,
) -> Summary | None:
    """Time of an epoch as a multiple of the baseline's, of equal seeds.

    Args:
        methods (Mapping): Method to seed to result, of one data set.
        method (str): Whose.
        baseline (str): What is divided by.
        clock (str): Key of the time in a result.

    Returns:
        Summary or None: Of the mean epochs, E-steps included; None where no
        seed is in both, or they ran with unequal threads or hardware.
    """
    ratios = []
    for seed, result in methods[method].items():
        other = methods.get(baseline, {}).get(seed)
        if other and all(result[key] == other[key] for key in _MEANS):
            if result.get(clock) and other.get(clock):
                ratios.append(result[clock] / other[clock])
    return mean_and_deviation(ratios)
