# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Shared style of all pictures: colours, figures, files, checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours and black suit colour-blind readers; the markers help
# in grey prints and with more than eight classes.
COLOURS = (
    '#0072B2',
    '#D55E00',
    '#009E73',
    '#CC79A7',
    '#56B4E9',
    '#E69F00',
    '#000000',
    '#B8A200',
)
MARKERS = 'osD^vP*X'
LINE_STYLES = ('-', '--', '-.', ':', (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))

# Nobody reads a longer legend.
MAX_LEGEND = 12

_DPI = 130


def colour(i: int) -> str:
    """Return the colour of series ``i``."""
    return COLOURS[i % len(COLOURS)]


def marker(i: int) -> str:
    """Return the marker of series ``i``; with the colour it repeats late."""
    return MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]


def line_style(i: int) -> Any:
    """Return the line style of series ``i``, for matplotlib."""
    return LINE_STYLES[i % len(LINE_STYLES)]


def new_figure(width: float, height: float) -> Figure:
    """Create a figure in inches, without a window system or global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def panels(
    number: int, width: float, height: float, columns: int = 4
) -> tuple[Figure, list[Axes]]:
    """Create a figure of equal panels in rows of nearly equal length.

    Args:
        number (int): Number of panels.
        width (float): Width of a panel in inches.
        height (float): Height of a panel in inches.
        columns (int): Most panels in a row. Defaults to 4.

    Returns:
        tuple[Figure, list[Axes]]: The figure and its axes.
    """
    rows = -(-number // columns)
    columns = -(-number // rows)
    figure = new_figure(width * columns, height * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[number:]:
        axis.set_axis_off()
    return figure, list(axes[:number])


def single_panel(series: Mapping[str, Any], title: str) -> tuple[Figure, Axes]:
    """Create a figure of one panel with room for a legend below it."""
    figure = new_figure(7.2, 4.0 + 0.2 * len(series))
    axis = figure.subplots()
    axis.set_title(title, pad=12)
    return figure, axis


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure to a file, whose folder is made, and return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI)
    return path


def tidy(axis: Axes, grid: str = 'both') -> None:
    """Draw a light grid below the data, and no frame above and right."""
    axis.spines[['top', 'right']].set_visible(False)
    axis.grid(axis=grid, color='0.88', linewidth=0.7)
    axis.set_axisbelow(True)


def legend_below(axis: Axes, columns: int = 1) -> None:
    """Place a legend under the axes, where it hides no data."""
    axis.legend(
        loc='upper center',
        bbox_to_anchor=(0.5, -0.15),
        ncols=columns,
        fontsize=8.5,
        frameon=False,
    )


def check_series(series: Mapping[str, Any], name: str) -> None:
    """Check that an argument maps captions to data.

    Raises:
        TypeError: If it is no mapping.
        ValueError: If it is empty.
    """
    if not isinstance(series, Mapping):
        raise TypeError(
            f'{name} must be a mapping from captions to data, got '
            f"{type(series).__name__}. Give {{'caption': data}}."
        )
    if not series:
        raise ValueError(f'{name} must not be empty.')


def as_vector(values: Sequence[float], name: str) -> np.ndarray:
    """Return numbers as a finite, non-empty vector, shape (N,), float64.

    Raises:
        ValueError: If the shape is another, it is empty or not finite.
    """
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or not len(vector):
        raise ValueError(
            f'{name} must be a vector of at least one number, got shape '
            f'{vector.shape}.'
        )
    bad = np.flatnonzero(~np.isfinite(vector))
    if len(bad):
        raise ValueError(
            f'{name} must be finite, but {len(bad)} of {len(vector)} numbers '
            f'are not; first indices: {bad[:5].tolist()}.'
        )
    return vector


def as_curve(
    curve: tuple[Sequence[float], Sequence[float]], name: str, x: str, y: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return a pair of sequences as vectors, sorted by the first.

    Raises:
        ValueError: If it is no pair, lengths differ or a value is not finite.
    """
    try:
        xs, ys = curve
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'{name} must be a pair ({x}, {y}), got {curve!r:.80}.'
        ) from error
    xs, ys = as_vector(xs, f'{x} of {name}'), as_vector(ys, f'{y} of {name}')
    if len(xs) != len(ys):
        raise ValueError(
            f'{name} must have as many {y} as {x}, got {len(ys)} and '
            f'{len(xs)}.'
        )
    order = np.argsort(xs, kind='stable')
    return xs[order], ys[order]


def check_labels(
    labels: np.ndarray, number: int, class_names: Sequence[str] | None
) -> np.ndarray:
    """Return the class of each of N samples as an array, int from 0.

    Raises:
        ValueError: If they are no such integers, or a class has no name.
    """
    labels = np.asarray(labels)
    if labels.shape != (number,) or labels.dtype.kind not in 'iu':
        raise ValueError(
            f'labels must be {number} integers, one for each sample, got '
            f'shape {labels.shape} of {labels.dtype}.'
        )
    if labels.min() < 0:
        raise ValueError(f'labels must be >= 0, got {labels.min()}.')
    if class_names is not None and len(class_names) <= labels.max():
        raise ValueError(
            f'class_names must have {labels.max() + 1} names, as labels go '
            f'up to {labels.max()}, got {len(class_names)}.'
        )
    return labels
