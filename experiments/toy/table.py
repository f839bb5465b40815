# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Tables of the toy experiment in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.runner import Column, RunResult, metric_column
from experiments.runner.column import BySeed
from pauc_mm.utils.tables import (
    markdown_table,
    mean_and_deviation,
    summary_text,
)

from .methods import METHODS

COLUMNS = (
    metric_column('NEMD (classes)', 'nemd_classes', digits=3),
    metric_column('NEMD (clusters)', 'nemd_clusters', digits=3),
    metric_column('uniformity', 'uniformity', digits=2),
    metric_column('variance in classes', 'variance_classes', digits=3),
    metric_column('variance in clusters', 'variance_clusters', digits=4),
    metric_column('void', 'void', digits=2),
    metric_column('kNN', 'knn', digits=3),
)
_HEADER = ('C', 'method', *(column.title for column in COLUMNS))
READING = (
    'NEMD does not rank embeddings by itself: total collapse has 0, and '
    'classes shrunk to evenly spread points have the most. Uniformity: 0 is '
    'collapse, lower is more uniform. Variance: near 0, the groups have '
    'coagulated. Void: share of the circle that is nearly empty. kNN: '
    'accuracy on held-out points.'
)

# (classes, method) -> seed -> result
Grouped = Mapping[tuple[int, str], BySeed]


def group(results: Sequence[RunResult]) -> dict:
    """Sort results by number of classes and method, and by seed."""
    grouped: dict = {}
    for result in results:
        setting = result.setting
        by_seed = grouped.setdefault(
            (setting['classes'], setting['method']), {}
        )
        by_seed[setting['seed']] = result
    return grouped


def metrics_table(grouped: Grouped) -> str:
    """Tabulate mean and deviation over seeds for each C and method.

    A metric that a collapse left undefined for some seed is missing.
    """
    return markdown_table(
        _HEADER,
        [
            [c, METHODS[method].label, *(_text(x, by_seed) for x in COLUMNS)]
            for (c, method), by_seed in grouped.items()
        ],
    )


def differences_table(grouped: Grouped, baseline: str = 'pcl') -> str:
    """Tabulate differences from a baseline, paired by seed, ± deviation."""
    rows = []
    for (c, method), by_seed in grouped.items():
        other = grouped.get((c, baseline), {})
        common = [seed for seed in by_seed if seed in other]
        if method == baseline or not common:
            continue
        pairs = [{s: g[s] for s in common} for g in (by_seed, other)]
        cells = (_text(column, *pairs) for column in COLUMNS)
        rows.append([c, METHODS[method].label, *cells])
    return markdown_table(_HEADER, rows)


def _text(column: Column, by_seed: BySeed, other: BySeed | None = None) -> str:
    """Format values, or their differences from others."""
    values = column.by_seed(by_seed)
    complete = len(values) == len(by_seed)
    if other is not None:
        baseline = column.by_seed(other)
        complete &= len(baseline) == len(other)
        values = {s: v - baseline[s] for s, v in values.items() if complete}
    summary = mean_and_deviation(list(values.values())) if complete else None
    return summary_text(summary, column.digits, signed=other is not None)
