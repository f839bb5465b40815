# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measures of several checkpoints side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .epoch_curves import Range, _check_ranges, shade
from .style import (
    as_vector,
    check_series,
    colour,
    marker,
    panels,
    save,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST_NAME = 28


def plot_comparison(
    values: Mapping[str, Mapping[str, float]],
    path: str | Path,
    title: str = 'Comparison of checkpoints',
    ranges: Mapping[str, Range] | None = None,
) -> Path:
    """Draw each measure in a panel of its own, with one dot a checkpoint.

    Args:
        values (dict[str, dict[str, float]]): By measure and by checkpoint; a
            checkpoint that a measure does not apply to is left out of it.
        path (str or Path): Picture to write; its folder is made.
        title (str): Title of the figure.
        ranges (dict[str, tuple], optional): Healthy range of a measure,
            lowest and highest value, None where it is open; shaded. Defaults
            to None.

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
    columns = 1 + sum(
        axis.get_subplotspec().colspan.start > 0
        and axis.get_subplotspec().rowspan.start == 0
        for axis in axes
    )
    for i, (axis, (measure, dots)) in enumerate(zip(axes, values.items())):
        draw_comparison(axis, dots, names, measure)
        axis.set_title(measure, size=10)
        shade(axis, (ranges or {}).get(measure), 'x')
        if i % columns:
            axis.set_yticklabels([])
    figure.suptitle(title)
    return save(figure, path)


def draw_comparison(
    axis: Axes,
    dots: Mapping[str, float],
    names: list[str] | None = None,
    measure: str = 'values',
) -> None:
    """Draw the dots of one measure, the first checkpoint on top.

    Args:
        axis (Axes): Where to draw.
        dots (dict[str, float]): Value by checkpoint.
        names (list[str], optional): All checkpoints of the figure, in order.
            Defaults to those of the dots.
        measure (str): Name for messages.
    """
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
    """A long name without its middle: the ends tell it from others."""
    if len(name) <= _LONGEST_NAME:
        return name
    half = (_LONGEST_NAME - 3) // 2
    return f'{name[:half]}...{name[-half:]}'
