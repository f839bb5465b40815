# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Picture of the ablations: what each change gains or costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.runner import Column
from pauc_mm.visualization.style import (
    colour,
    marker,
    panels,
    save,
    tidy,
)

from .results import ACCURACY, KNN_TRAIN, LINEAR, Grouped
from .settings import Suite
from .verdicts import ERRORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ONE_LABEL = next(c for c in ACCURACY if c.title == '1 label')
COLUMNS = (KNN_TRAIN, LINEAR, _ONE_LABEL)
# Inches of a panel and of a row.
_WIDTH, _ROW = 3.5, 0.24
# Points up to which an axis with a few far larger differences is linear.
_ROUND = (0.5, 1, 2, 5, 10, 20, 50)
# Distance of the data sets of a row, in rows.
_APART = 0.36


def plot_differences(suite: Suite, grouped: Grouped, path: str | Path) -> Path:
    """Plot the differences from the baseline, paired by seed.

    Methods are rows under the heading of their group, accuracies panels.
    Large marks are means with bars of two standard errors, small marks the
    seeds.
    """
    heights, headings = _heights(suite, grouped)
    rows = len(heights) + len(headings)
    figure, axes = panels(len(COLUMNS), _WIDTH, _ROW * rows + 1, len(COLUMNS))
    for axis, column in zip(axes, COLUMNS):
        axis.axvline(0, color='0.4', linewidth=1, zorder=1)
        means = _draw(axis, column, suite, grouped, heights)
        axis.set_title(column.title)
        axis.set_xlabel('difference, points')
        _scale(axis, means)
        axis.xaxis.set_major_formatter(lambda x, _: f'{x:+.3g}' if x else '0')
        axis.tick_params(axis='x', labelsize=8)
        axis.set_ylim(rows - 0.5, -0.5)
        axis.set_yticks([])
        tidy(axis)
    _name_rows(axes[0], suite, heights, headings)
    names = dict(zip(*reversed(axes[0].get_legend_handles_labels())))
    if names:
        figure.legend(
            names.values(),
            names.keys(),
            loc='outside lower center',
            ncols=len(names),
            frameon=False,
        )
    figure.suptitle(
        f'Difference from {suite.methods[suite.baseline].label}, '
        f'bars: {ERRORS} standard errors'
    )
    return save(figure, path)


def _heights(
    suite: Suite, grouped: Grouped
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the rows of methods and of headings, from the top."""
    heights: dict[str, int] = {}
    headings: dict[str, int] = {}
    for name, method in suite.methods.items():
        missing = not any(name in methods for methods in grouped.values())
        if name == suite.baseline or missing:
            continue
        if method.group not in headings:
            headings[method.group] = len(heights) + len(headings)
        heights[name] = len(heights) + len(headings)
    return heights, headings


def _draw(
    axis: Axes,
    column: Column,
    suite: Suite,
    grouped: Grouped,
    heights: Mapping[str, int],
) -> list[float]:
    """Plot a panel; return the means."""
    means = []
    middle = (len(grouped) - 1) / 2
    for i, (data, methods) in enumerate(grouped.items()):
        baseline = methods.get(suite.baseline, {})
        style = {'color': colour(i), 'marker': marker(i)}
        for name, by_seed in methods.items():
            difference = column.difference(by_seed, baseline)
            if name not in heights or difference is None:
                continue
            height = heights[name] + _APART * (i - middle)
            means.append(difference.mean)
            values, other = map(column.by_seed, (by_seed, baseline))
            seeds = [values[s] - other[s] for s in values if s in other]
            axis.scatter(seeds, [height] * len(seeds), s=7, alpha=0.4, **style)
            axis.errorbar(
                difference.mean,
                height,
                xerr=difference.spread and ERRORS * difference.spread,
                markersize=6,
                markeredgecolor='white',
                elinewidth=1.2,
                linestyle='none',
                label=suite.data[data].label,
                zorder=3,
                **style,
            )
    return means


def _scale(axis: Axes, means: list[float]) -> None:
    """Make the axis logarithmic beyond the range of most changes.

    A change that destroys the encoder would otherwise hide all others.
    """
    from matplotlib.ticker import FixedLocator

    sizes = sorted(map(abs, means))
    most = sizes[int(0.8 * len(sizes))] if sizes else 0
    linear = next((x for x in _ROUND if x >= most), _ROUND[-1])
    if max(map(abs, axis.get_xlim())) <= 3 * linear:
        return
    axis.set_xscale('symlog', linthresh=linear, linscale=1.5)
    ticks = [linear / 2, linear, *(x for x in _ROUND if x >= 4 * linear)]
    axis.xaxis.set_major_locator(
        FixedLocator([-x for x in ticks] + [0] + ticks)
    )


def _name_rows(
    axis: Axes,
    suite: Suite,
    heights: Mapping[str, int],
    headings: Mapping[str, int],
) -> None:
    axis.set_yticks(
        [*heights.values(), *headings.values()],
        [*(suite.methods[name].label for name in heights), *headings],
    )
    axis.tick_params(axis='y', length=0)
    for text in axis.get_yticklabels()[len(heights) :]:
        text.set_fontweight('bold')
