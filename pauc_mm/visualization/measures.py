# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw measures over epochs, or of several checkpoints side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .style import colour, line, marker, panels, save, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Range = tuple[float | None, float | None]

_LONGEST_NAME = 28


def plot_epoch_curves(
    values: Mapping[str, Mapping[str, tuple[Sequence[int], Sequence[float]]]],
    path: str | Path,
    title: str = 'Measures during training',
    ranges: Mapping[str, Range] | None = None,
) -> Path:
    """Draw each measure in a panel of its own, with one line a run.

    Args:
        values (dict): Epochs (E,), ascending, and values (E,) by measure and
            by run.
        path (str or Path): File to write; its folder is made.
        title (str): Title of the figure.
        ranges (dict[str, tuple], optional): Healthy range of a measure,
            (lowest, highest), None where it is open; shaded.
    """
    from matplotlib.ticker import MaxNLocator

    runs = list(dict.fromkeys(r for curves in values.values() for r in curves))
    figure, axes = panels(len(values), 3.6, 2.7)
    handles = {}
    for axis, (measure, curves) in zip(axes, values.items()):
        for run, (epochs, heights) in curves.items():
            i = runs.index(run)
            look = dict(line(i), markersize=4, linewidth=1.7)
            look['marker'] = marker(i) if len(epochs) <= 25 else None
            (handles[run],) = axis.plot(epochs, heights, **look)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.set_xlabel('epoch', size=9)
        _finish(axis, measure, ranges, 'y')
    if len(runs) > 1:
        look = dict(loc='outside lower center', ncols=4, fontsize=8.5)
        figure.legend([handles[run] for run in runs], runs, **look)
    figure.suptitle(title if len(runs) > 1 else f'{title}: {runs[0]}')
    return save(figure, path)


def plot_comparison(
    values: Mapping[str, Mapping[str, float]],
    path: str | Path,
    ranges: Mapping[str, Range] | None = None,
) -> Path:
    """Draw each measure in a panel of its own, with one dot a checkpoint.

    Args:
        values (dict[str, dict[str, float]]): By measure and by checkpoint;
            checkpoints without a value are left out.
        path (str or Path): File to write; its folder is made.
        ranges (dict[str, tuple], optional): See :func:`plot_epoch_curves`.
    """
    names = list(dict.fromkeys(n for dots in values.values() for n in dots))
    figure, axes = panels(len(values), 3.6, 1.1 + 0.3 * len(names))
    for axis, (measure, dots) in zip(axes, values.items()):
        for name, value in dots.items():
            i = names.index(name)
            axis.plot(value, i, marker(i), color=colour(i), markersize=8)
            above = dict(xytext=(0, 7), textcoords='offset points')
            text = f'{value:.3g}'
            axis.annotate(text, (value, i), ha='center', size=7.5, **above)
        axis.set_yticks(range(len(names)), [_short(name) for name in names])
        axis.set_ylim(len(names) - 0.5, -0.7)
        axis.margins(x=0.2)
        _finish(axis, measure, ranges, 'x')
        if not axis.get_subplotspec().is_first_col():
            axis.set_yticklabels([])
    figure.suptitle('Comparison of checkpoints')
    return save(figure, path)


def _finish(axis: Axes, measure: str, ranges, direction: str) -> None:
    axis.tick_params(labelsize=8.5)
    tidy(axis)
    axis.set_title(measure, size=10)
    shade(axis, (ranges or {}).get(measure), direction)


def shade(axis: Axes, limits: Range | None, direction: str) -> None:
    """Shade a healthy range on the 'x' or 'y' axis, whose limits stay."""
    if limits is None:
        return
    seen = axis.get_ylim() if direction == 'y' else axis.get_xlim()
    low = seen[0] if limits[0] is None else max(limits[0], seen[0])
    high = seen[1] if limits[1] is None else min(limits[1], seen[1])
    if low < high:
        span = axis.axhspan if direction == 'y' else axis.axvspan
        green = colour(2)
        span(low, high, color=green, alpha=0.12, linewidth=0, zorder=0)
    (axis.set_ylim if direction == 'y' else axis.set_xlim)(seen)


def _short(name: str) -> str:
    """Cut the middle of a long name, as names differ in their ends."""
    if len(name) <= _LONGEST_NAME:
        return name
    half = (_LONGEST_NAME - 3) // 2
    return f'{name[:half]}...{name[-half:]}'
