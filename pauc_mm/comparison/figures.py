# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The picture of a suite: accuracy against collapse."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.lines import Line2D

from ..matrix.column import Column
from ..visualization._style import colour, marker, new_figure, save, tidy
from .results import EFFECTIVE_RANK, INTRA_VARIANCE, KNN, Grouped
from .settings import Suite

_X = (
    (INTRA_VARIANCE, 'variance within prototypes (points at 0)'),
    (EFFECTIVE_RANK, 'effective rank of the embeddings'),
)


def plot_accuracy_and_collapse(
    suite: Suite, grouped: Grouped, path: str | Path
) -> Path:
    """Draw kNN accuracy over two measures of a collapse.

    A row for each data set. Large marks are means over seeds with standard
    deviations, small ones the seeds. To the left prototypes have become
    points, or embeddings have lost dimensions.

    Args:
        suite (Suite): What was run.
        grouped (Mapping): Of :func:`~.results.group`; not empty.
        path (str or Path): Picture to write.

    Returns:
        Path: The file.
    """
    rows = len(grouped)
    figure = new_figure(9.2, 3.3 * rows + 1.1)
    axes = figure.subplots(rows, len(_X), squeeze=False, sharey='row')
    places = {method: i for i, method in enumerate(suite.methods)}
    for line, (data, methods) in zip(axes, grouped.items()):
        for axis, (column, title) in zip(line, _X):
            for method, by_seed in methods.items():
                _draw(axis, places[method], column, by_seed)
            axis.set_xlabel(title)
            tidy(axis)
        line[0].set_ylabel(f'{suite.data[data].label}\nkNN accuracy (%)')
    shown = dict.fromkeys(m for own in grouped.values() for m in own)
    figure.legend(
        handles=[
            Line2D(
                [],
                [],
                linestyle='none',
                color=colour(places[method]),
                marker=marker(places[method]),
                markersize=8,
                label=suite.methods[method].title,
            )
            for method in shown
        ],
        loc='outside lower center',
        ncols=4,
        fontsize=9,
        frameon=False,
    )
    figure.suptitle('Accuracy against collapse')
    return save(figure, path)


def _draw(axis, i: int, column: Column, by_seed: Mapping[int, dict]) -> None:
    across, up = column.by_seed(by_seed), KNN.by_seed(by_seed)
    seeds = [seed for seed in across if seed in up]
    if not seeds:
        return
    x, y = (column.summary(by_seed), KNN.summary(by_seed))
    axis.scatter(
        [across[seed] for seed in seeds],
        [up[seed] for seed in seeds],
        s=12,
        color=colour(i),
        marker=marker(i),
        alpha=0.45,
        linewidths=0,
    )
    axis.errorbar(
        x.mean,
        y.mean,
        xerr=x.spread,
        yerr=y.spread,
        color=colour(i),
        marker=marker(i),
        markersize=9,
        markeredgecolor='white',
        elinewidth=1,
        zorder=3,
    )
