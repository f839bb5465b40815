# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measures over epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .style import (
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


def plot_epoch_curves(
    values: Mapping[str, Mapping[str, tuple[Sequence[int], Sequence[float]]]],
    path: str | Path,
    title: str = 'Measures during training',
    ranges: Mapping[str, Range] | None = None,
) -> Path:
    """Draw each measure in a panel of its own, with one line a run.

    Args:
        values (dict): By measure and by run the epochs (E,) and the values
            (E,).
        path (str or Path): Picture to write; its folder is made.
        title (str): Title of the figure.
        ranges (dict[str, tuple], optional): Healthy range of a measure,
            lowest and highest value, None where it is open; shaded. Defaults
            to None.

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
    """Draw the lines of one measure.

    Args:
        axis (Axes): Where to draw.
        curves (dict): Epochs and values by run.
        runs (sequence of str, optional): All runs of the figure, so that each
            looks the same in every panel. Defaults to those of the curves.
        measure (str): Name for messages.
    """
    from matplotlib.ticker import MaxNLocator

    check_series(curves, f'values[{measure!r}]')
    runs = list(curves if runs is None else runs)
    for run, curve in curves.items():
        epochs, values = _as_curve(curve, f'values[{measure!r}][{run!r}]')
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
    """Shade a healthy range without changing what is seen of the data.

    Args:
        axis (Axes): Where to draw.
        limits (tuple, optional): Lowest and highest value, None where open.
        direction (str): ``'y'`` or ``'x'``, the axis of the values.
    """
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
                f'ranges has {measure!r}, but there are only values of '
                f'{sorted(values)}.'
            )
        low, high = limits
        if low is not None and high is not None and not low < high:
            raise ValueError(
                f'ranges[{measure!r}] must rise, but is {limits!r}.'
            )


def _as_curve(curve, name: str) -> tuple[np.ndarray, np.ndarray]:
    epochs, values = curve
    epochs = as_vector(epochs, f'epochs of {name}')
    values = as_vector(values, name)
    if len(epochs) != len(values):
        raise ValueError(
            f'{name} has {len(values)} values for {len(epochs)} epochs.'
        )
    order = np.argsort(epochs, kind='stable')
    return epochs[order], values[order]
