# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Means and deviations over seeds, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pauc_mm.utils.tables import (
    markdown_table,
    mean_and_deviation,
    summary_text,
)

from .experiment import Run
from .methods import METHODS

# measure, heading, digits
COLUMNS = (
    ('nemd_classes', 'NEMD (classes)', 3),
    ('nemd_clusters', 'NEMD (clusters)', 3),
    ('uniformity', 'uniformity', 2),
    ('variance_classes', 'variance in classes', 3),
    ('variance_clusters', 'variance in clusters', 4),
    ('void', 'void', 2),
    ('knn', 'kNN', 3),
)
_HEADER = ('C', 'method', *(title for _, title, _ in COLUMNS))

READING = (
    'NEMD does not rank embeddings by itself: total collapse has 0, and '
    'classes shrunk to evenly spread points have the most. Uniformity: 0 is '
    'collapse, lower is more uniform. Variance: near 0, the groups have '
    'coagulated. Void: share of the circle that is nearly empty. kNN: '
    'accuracy on held-out points.'
)


def _text(
    values: Sequence[float | None], digits: int, signed: bool = False
) -> str:
    """Format mean and deviation; missing if a collapse left one undefined."""
    found = None if None in values else mean_and_deviation(values)
    return summary_text(found, digits, signed)


def measures_table(
    records: Mapping[Run, dict],
    methods: Sequence[str],
    classes: Sequence[int],
    seeds: Sequence[int],
) -> str:
    """The table of all measures: a row for each method and C.

    Args:
        records (Mapping[Run, dict]): With the ``measures`` of each run.
        methods (Sequence[str]): Keys of :data:`METHODS`, in order.
        classes (Sequence[int]): Numbers of classes, in order.
        seeds (Sequence[int]): Seeds to average over.

    Returns:
        str: A Markdown table.

    Raises:
        KeyError: If a run is missing.
    """
    rows = []
    for c in classes:
        for method in methods:
            found = [records[Run(method, c, s)]['measures'] for s in seeds]
            cells = [
                _text([m[name] for m in found], digits)
                for name, _, digits in COLUMNS
            ]
            rows.append([str(c), METHODS[method].label, *cells])
    return markdown_table(_HEADER, rows)


def differences_table(
    records: Mapping[Run, dict],
    methods: Sequence[str],
    classes: Sequence[int],
    seeds: Sequence[int],
    baseline: str = 'pcl',
) -> str:
    """The same as differences to a baseline, paired by seed.

    Args:
        records (Mapping[Run, dict]): As in :func:`measures_table`.
        methods (Sequence[str]): As there; the baseline gets no row.
        classes (Sequence[int]): As there.
        seeds (Sequence[int]): As there.
        baseline (str): What is subtracted. Defaults to 'pcl'.

    Returns:
        str: A Markdown table.
    """
    rows = []
    for c in classes:
        for method in methods:
            if method == baseline:
                continue
            pairs = [
                tuple(
                    records[Run(which, c, seed)]['measures']
                    for which in (method, baseline)
                )
                for seed in seeds
            ]
            cells = []
            for name, _, digits in COLUMNS:
                differences = [
                    None if None in (a[name], b[name]) else a[name] - b[name]
                    for a, b in pairs
                ]
                cells.append(_text(differences, digits, signed=True))
            rows.append([str(c), METHODS[method].label, *cells])
    return markdown_table(_HEADER, rows)
