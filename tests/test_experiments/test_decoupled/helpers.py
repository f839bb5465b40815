# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Hand-made results of the study."""

from experiments.decoupled import study_run
from experiments.runner.unique_shares_hook import FILE_NAME
from tests.test_experiments.test_runner.made_results import (
    made_result as made_run_result,
)

EPOCHS = (0, 1, 2, 5, 10)


def made_result(run, unique, used, knn, groups=None):
    """A result; ``unique`` is the share at 0.025 at the end."""
    lines = []
    for number, epoch in enumerate(EPOCHS, 1):
        part = number / len(EPOCHS)
        share = 1 - (1 - unique) * part
        at = [share, share * 0.75, share * 0.5, share * 0.25]
        own = dict(
            prototypes=1000,
            images=559,
            unique=at,
            used=used,
            used_share=used / 1000,
            unique_used=[min(1.0, 2 * s) for s in at],
            perplexity=used / 2,
        )
        lines.append(dict(epoch=epoch, epsilons=[], sets=[own]))
    metrics = {'knn/k20': knn, 'knn/k200': 0.1}
    metrics.update({f'knn/k20_{k}': v for k, v in (groups or {}).items()})
    return made_run_result(run, metrics, {FILE_NAME: lines})


def made_study():
    """Two conditions; three seeds of both methods, the last one of one."""
    results = []
    for seed, joint, decoupled in (
        (0, (0.10, 0.80), (1.00, 0.81)),
        (1, (0.20, 0.84), (1.00, 0.86)),
        (2, (0.30, 0.82), (0.97, 0.88)),
    ):
        for method, (unique, knn) in (
            ('joint', joint),
            ('decoupled', decoupled),
        ):
            run = study_run('digits', 'balanced', method, seed)
            used = 400 if method == 'joint' else 500
            results.append(made_result(run, unique, used, knn))
    for method, knn in (('joint', 0.5), ('decoupled', 0.6)):
        run = study_run('digits', 'long-tailed', method, 0)
        groups = dict(head=knn + 0.2, middle=knn, tail=knn - 0.2)
        results.append(made_result(run, 0.5, 300, knn, groups))
    return results
