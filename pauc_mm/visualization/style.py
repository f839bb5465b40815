# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Shared style of all pictures: colours, figures, files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours and black suit colour-blind readers; the markers help
# in grey prints and with more than eight classes.
COLOURS = (
    '#0072B2 #D55E00 #009E73 #CC79A7 #56B4E9 #E69F00 #000000 #B8A200'.split()
)
MARKERS = 'osD^vP*X'
LINE_STYLES = ('-', '--', '-.', ':', (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))

# Nobody reads a longer legend.
MAX_LEGEND = 12

CENTRED = dict(ha='center', va='center', weight='bold')


def colour(i: int) -> str:
    """Return the colour of series ``i``."""
    return COLOURS[i % len(COLOURS)]


def marker(i: int) -> str:
    """Return the marker of series ``i``; with the colour it repeats late."""
    return MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]


def line(i: int) -> dict[str, Any]:
    """Return matplotlib's options for the line of series ``i``."""
    return dict(color=colour(i), linestyle=LINE_STYLES[i % len(LINE_STYLES)])


def new_figure(width: float, height: float) -> Figure:
    """Create a figure in inches, without a window system or global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout='constrained')


def panels(
    number: int, width: float, height: float, columns: int = 4
) -> tuple[Figure, list[Axes]]:
    """Create panels of a size in inches, at most ``columns`` in a row."""
    rows = -(-number // columns)
    columns = -(-number // rows)
    figure = new_figure(width * columns, height * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[number:]:
        axis.set_axis_off()
    return figure, list(axes[:number])


def single_panel(number: int, title: str) -> tuple[Figure, Axes]:
    """Create one panel with room below it for a legend of so many series."""
    figure = new_figure(7.2, 4.0 + 0.2 * number)
    axis = figure.subplots()
    axis.set_title(title, pad=12)
    return figure, axis


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure to a file, whose folder is made, and return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    return path


def tidy(axis: Axes, grid: str = 'both') -> None:
    """Draw a light grid below the data, and no frame above and right."""
    axis.spines[['top', 'right']].set_visible(False)
    axis.grid(axis=grid, color='0.88', linewidth=0.7)
    axis.set_axisbelow(True)


def legend_below(axis: Axes, columns: int = 1) -> None:
    """Place a legend under the axes, where it hides no data."""
    place = dict(loc='upper center', bbox_to_anchor=(0.5, -0.15))
    axis.legend(ncols=columns, fontsize=8.5, frameon=False, **place)
