# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the pictures have in common: colours, figures, files, checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours and black: told apart by the colour-blind; with the
# markers they also survive a print in grey, and more than eight classes.
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

# A legend of more entries than this is not read.
MAX_LEGEND = 12

_DPI = 130


def colour(i: int) -> str:
    """Colour of series ``i``."""
    return COLOURS[i % len(COLOURS)]


def marker(i: int) -> str:
    """Marker of series ``i``; colour and marker together repeat late."""
    return MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]


def line_style(i: int) -> Any:
    """Line style of series ``i``, as matplotlib takes it."""
    return LINE_STYLES[i % len(LINE_STYLES)]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure that no window system or global state knows of.

    Args:
        width (float): In inches.
        height (float): In inches.

    Returns:
        Figure: With a constrained layout and a canvas of Agg.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def panels(
    number: int, width: float, height: float, columns: int = 4
) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels in rows.

    Args:
        number (int): Panels wanted.
        width (float): Of a panel, in inches.
        height (float): Of a panel, in inches.
        columns (int): Most panels in a row. Defaults to 4.

    Returns:
        tuple[Figure, list[Axes]]: The figure and as many axes, in rows of
        nearly the same length.
    """
    rows = -(-number // columns)
    columns = -(-number // rows)
    figure = new_figure(width * columns, height * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[number:]:
        axis.set_axis_off()
    return figure, list(axes[:number])


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure as a picture; the folder is made.

    Args:
        figure (Figure): The figure.
        path (str or Path): File to write.

    Returns:
        Path: The file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI)
    return path


def tidy(axis: Axes, grid: str = 'both') -> None:
    """Light grid below the data, no frame above and to the right."""
    axis.spines[['top', 'right']].set_visible(False)
    axis.grid(axis=grid, color='0.88', linewidth=0.7)
    axis.set_axisbelow(True)


def legend_below(axis: Axes, columns: int = 1) -> None:
    """A legend under the axes, where it hides no data."""
    axis.legend(
        loc='upper center',
        bbox_to_anchor=(0.5, -0.15),
        ncols=columns,
        fontsize=8.5,
        frameon=False,
    )


def check_series(series: Mapping[str, Any], name: str) -> None:
    """Refuse what is no mapping, or an empty one.

    Args:
        series (Mapping): From captions to data.
        name (str): Name of the argument, for the message.

    Raises:
        TypeError: If it is no mapping.
        ValueError: If it is empty.
    """
    if not isinstance(series, Mapping):
        raise TypeError(
            f'{name} must be a mapping from captions to data, not a '
            f"{type(series).__name__}: give {{'caption': data}}."
        )
    if not series:
        raise ValueError(f'{name} is empty: there is nothing to draw.')


def as_vector(values: Sequence[float], name: str) -> np.ndarray:
    """Return numbers as a finite float64 vector that is not empty.

    Args:
        values (sequence, ndarray or CPU Tensor): Shape (N,), real.
        name (str): Name of the data, for the message.

    Returns:
        np.ndarray: Shape (N,), float64.

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
            f'are not; first places: {bad[:5].tolist()}.'
        )
    return vector
