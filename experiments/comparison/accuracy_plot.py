# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Picture of a suite: accuracy against collapse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.runner.column import BySeed
from pauc_mm.visualization.style import (
    colour,
    marker,
    panels,
    save,
    tidy,
)

from .results import INTRA_VARIANCE, KNN, Grouped
from .settings import Suite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches of a panel, its column of names included.
_WIDTH, _HEIGHT = 6.4, 4.6
# Least distance of two names, as a share of the height of a panel.
_LINE = 0.055


def plot_accuracy_and_collapse(
    suite: Suite, grouped: Grouped, path: str | Path
) -> Path:
    """Plot kNN accuracy against the variance within clusters.

    There is a panel for each data set. Large marks are means over seeds with
    standard deviations, small ones the seeds. At the left edge prototypes
    have become points.
    """
    figure, axes = panels(len(grouped), _WIDTH, _HEIGHT, columns=2)
    numbers = {method: i for i, method in enumerate(suite.methods)}
    for axis, (data, methods) in zip(axes, grouped.items()):
        means = {
            method: _draw(axis, numbers[method], by_seed)
            for method, by_seed in methods.items()
        }
        axis.set_title(suite.data[data].label)
        axis.set_xlabel('variance within k-means clusters (0: points)')
        axis.set_ylabel('kNN accuracy (%)')
        axis.set_xlim(left=0)
        tidy(axis)
        _name(
            axis,
            [
                (*mean, suite.methods[method].title, colour(numbers[method]))
                for method, mean in means.items()
                if mean
            ],
        )
    figure.suptitle('Accuracy against collapse')
    return save(figure, path)


def _draw(axis: Axes, i: int, by_seed: BySeed) -> tuple[float, float] | None:
    """Plot one method; return its mean point, None if a value is missing."""
    across, up = INTRA_VARIANCE.by_seed(by_seed), KNN.by_seed(by_seed)
    seeds = [seed for seed in across if seed in up]
    if not seeds:
        return None
    x, y = INTRA_VARIANCE.summary(by_seed), KNN.summary(by_seed)
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
    return x.mean, y.mean


def _name(axis: Axes, points: list[tuple[float, float, str, str]]) -> None:
    """Write names in a column at the right, each with a line to its point."""
    if not points:
        return
    low, high = axis.get_ylim()
    points = sorted(points, key=lambda point: point[1])
    heights = _spread([(y - low) / (high - low) for _, y, _, _ in points])
    for (x, y, name, tint), height in zip(points, heights):
        axis.annotate(
            name,
            xy=(x, y),
            xytext=(1.03, height),
            textcoords='axes fraction',
            va='center',
            fontsize=9,
            color=tint,
            arrowprops={
                'arrowstyle': '-',
                'color': tint,
                'linewidth': 0.6,
                'alpha': 0.5,
                'shrinkA': 1,
                'shrinkB': 5,
            },
        )


def _spread(heights: Sequence[float]) -> list[float]:
    """Move ascending heights in [0, 1] as little as makes names fit."""
    from sklearn.isotonic import IsotonicRegression

    last = len(heights) - 1
    gap = min(_LINE, 1 / max(last, 1))
    feet = [height - i * gap for i, height in enumerate(heights)]
    fit = IsotonicRegression(y_min=0, y_max=max(1 - last * gap, 0))
    moved = fit.fit_transform(range(len(feet)), feet)
    return [float(foot) + i * gap for i, foot in enumerate(moved)]
