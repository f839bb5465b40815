# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Hand-made results of a comparison."""

from experiments.comparison import SUITES
from experiments.comparison.runs import comparison_run
from tests.test_experiments.test_runner.made_results import made_result

SMALL = SUITES['small']


def made(
    method,
    seed,
    knn,
    data='digits',
    rate=None,
    own=False,
    suite=SMALL,
    **changes,
):
    """A result with this kNN; the other metrics follow from it."""
    run = comparison_run(suite, data, method, seed, rate)
    metrics = {
        'accuracy/knn': knn,
        'accuracy/knn_train': knn - 0.01,
        'accuracy/linear': knn + 0.02,
        'accuracy/shot1': knn / 2,
        'accuracy/shot5': knn - 0.2,
        'accuracy/shot10': knn - 0.1,
        'nemd_labels/value': 1.25,
        'nemd_labels/uniformity': -2.5,
        'nemd_labels/effective_rank': 10 * knn,
        'nemd_clusters/value': 1.3,
        'prototypes/intra_variance': 0.2 * knn,
    }
    for number, epsilon in enumerate(('0.025', '0.1', '0.25', '0.5')):
        metrics[f'prototypes/unique_{epsilon}'] = 1 - 0.2 * number
        if own:
            metrics[f'prototypes/own_unique_{epsilon}'] = 0.9 - 0.2 * number
    if own:
        metrics['prototypes/own_number'] = 1024.0
        metrics['prototypes/own_used'] = 0.25
    return made_result(run, metrics, **changes)


def made_suite():
    """Three methods in the order of PAUC's paper, three seeds each."""
    results = []
    for seed in range(3):
        for method, knn in (('mocov2', 0.8), ('pclv2', 0.85), ('pauc', 0.9)):
            results.append(
                made(
                    method,
                    seed,
                    knn + 0.01 * seed,
                    own=method == 'pauc',
                    epoch_cpu_seconds=1.5 if method == 'pauc' else 1.0,
                )
            )
    return results
