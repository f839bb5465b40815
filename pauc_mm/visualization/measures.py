# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw measures over epochs, or of several checkpoints side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .style import (
    as_curve,
    as_vector,
    check_series,
    colour,
    line_style,
    marker,
    panels,
    save,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Range = tuple[float | None, float | None]

_SHADE = '#009E73'
_LONGEST_NAME = 28


def plot_epoch_curves(
    values: Mapping[str, Mapping[str, tuple[Sequence[int], Sequence[float]]]],
    path: str | Path,
    title: str = 'Measures during training',
    ranges: Mapping[str, Range] | None = None,
) -> Path:
    """Draw each measure in a panel of its own, with one line a run.

    Args:
        values (dict): Epochs (E,) and values (E,) by measure and by run.
        path (str or Path): File to write; its folder is made.
        title (str): Title of the figure.
        ranges (dict[str, tuple], optional): Healthy range of a measure,
            (lowest, highest), None where it is open; shaded.

    Returns:
        Path: The file.

    Raises:
        TypeError: If ``values`` is no mapping of mappings.
        ValueError: If one is empty, not finite or of unequal lengths, or a
            range is of a measure that is not drawn.
    """
    check_series(values, 'values')
    _check_ranges(ranges or {}, values)
    runs = list(
        dict.fromkeys(run for curves in values.values() for run in curves)
    )
    figure, axes = panels(len(values), 3.6, 2.7)
    for axis, (measure, curves) in zip(axes, values.items()):
        draw_epoch_curves(axis, curves, runs, measure)
        axis.set_title(measure, size=10)
        shade(axis, (ranges or {}).get(measure), 'y')
    if len(runs) > 1:
        by_name = {}
        for axis in axes:
            by_name.update(zip(*axis.get_legend_handles_labels()[::-1]))
        figure.legend(
            [by_name[run] for run in runs],
            runs,
            loc='outside lower center',
            ncols=4,
            fontsize=8.5,
        )
    figure.suptitle(title if len(runs) > 1 else f'{title}: {runs[0]}')
    return save(figure, path)


def draw_epoch_curves(
    axis: Axes,
    curves: Mapping[str, tuple[Sequence[int], Sequence[float]]],
    runs: Sequence[str] | None = None,
    measure: str = 'values',
) -> None:
    """Draw the lines of one measure; ``runs`` fixes the look of each run."""
    from matplotlib.ticker import MaxNLocator

    check_series(curves, f'values[{measure!r}]')
    runs = list(curves if runs is None else runs)
    for run, curve in curves.items():
        name = f'values[{measure!r}][{run!r}]'
        epochs, values = as_curve(curve, name, 'epochs', 'values')
        i = runs.index(run)
        axis.plot(
            epochs,
            values,
            color=colour(i),
            linestyle=line_style(i),
            marker=marker(i) if len(epochs) <= 25 else None,
            markersize=4,
            linewidth=1.7,
            label=run,
        )
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.set_xlabel('epoch', size=9)
    axis.tick_params(labelsize=8.5)
    tidy(axis)


def shade(axis: Axes, limits: Range | None, direction: str) -> None:
    """Shade a healthy range on the 'x' or 'y' axis, whose limits stay."""
    if limits is None:
        return
    seen = axis.get_ylim() if direction == 'y' else axis.get_xlim()
    low = seen[0] if limits[0] is None else max(limits[0], seen[0])
    high = seen[1] if limits[1] is None else min(limits[1], seen[1])
    if low < high:
        span = axis.axhspan if direction == 'y' else axis.axvspan
        span(low, high, color=_SHADE, alpha=0.12, linewidth=0, zorder=0)
    (axis.set_ylim if direction == 'y' else axis.set_xlim)(seen)


def _check_ranges(ranges: Mapping[str, Range], values: Mapping) -> None:
    for measure, limits in ranges.items():
        if measure not in values:
            raise ValueError(
                f'ranges must be of {sorted(values)}, the measures of values, '
                f'got {measure!r}.'
            )
        low, high = limits
        if low is not None and high is not None and not low < high:
            raise ValueError(
                f'ranges[{measure!r}] must be (low, high), got {limits!r}.'
            )


def plot_comparison(
    values: Mapping[str, Mapping[str, float]],
    path: str | Path,
    title: str = 'Comparison of checkpoints',
    ranges: Mapping[str, Range] | None = None,
) -> Path:
    """Draw each measure in a panel of its own, with one dot a checkpoint.

    Args:
        values (dict[str, dict[str, float]]): By measure and by checkpoint;
            checkpoints without a value are left out.
        path (str or Path): File to write; its folder is made.
        title (str): Title of the figure.
        ranges (dict[str, tuple], optional): See :func:`plot_epoch_curves`.

    Returns:
        Path: The file.

    Raises:
        TypeError: If ``values`` is no mapping of mappings.
        ValueError: If one is empty or a value not finite, or a range is of a
            measure that is not drawn.
    """
    check_series(values, 'values')
    _check_ranges(ranges or {}, values)
    names = list(dict.fromkeys(n for dots in values.values() for n in dots))
    figure, axes = panels(len(values), 3.6, 1.1 + 0.3 * len(names))
    for axis, (measure, dots) in zip(axes, values.items()):
        draw_comparison(axis, dots, names, measure)
        axis.set_title(measure, size=10)
        shade(axis, (ranges or {}).get(measure), 'x')
        if not axis.get_subplotspec().is_first_col():
            axis.set_yticklabels([])
    figure.suptitle(title)
    return save(figure, path)


def draw_comparison(
    axis: Axes,
    dots: Mapping[str, float],
    names: list[str] | None = None,
    measure: str = 'values',
) -> None:
    """Draw the values of one measure, the first of ``names`` on top."""
    check_series(dots, f'values[{measure!r}]')
    names = list(dots if names is None else names)
    heights = as_vector(list(dots.values()), f'values[{measure!r}]')
    for name, value in zip(dots, heights):
        i = names.index(name)
        axis.plot(
            [value],
            [i],
            marker=marker(i),
            color=colour(i),
            markersize=8,
            linestyle='none',
        )
        axis.annotate(
            f'{value:.3g}',
            (value, i),
            xytext=(0, 7),
            textcoords='offset points',
            ha='center',
            size=7.5,
        )
    axis.set_yticks(range(len(names)), [_short(name) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.7)
    axis.margins(x=0.2)
    axis.tick_params(labelsize=8.5)
    tidy(axis)


def _short(name: str) -> str:
    """Cut the middle of a long name, as names differ in their ends."""
    if len(name) <= _LONGEST_NAME:
        return name
    half = (_LONGEST_NAME - 3) // 2
    return f'{name[:half]}...{name[-half:]}'
