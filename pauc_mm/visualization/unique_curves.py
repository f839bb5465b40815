# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Share of unique prototypes against the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .style import (
    as_vector,
    check_series,
    colour,
    legend_below,
    line_style,
    marker,
    new_figure,
    save,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THRESHOLD = 0.025
# Per cent unique at that threshold, from Why Prototypes Collapse.
PUBLISHED = {'DINO': 1.5, 'CARP': 10.8, 'decoupled': 100.0}

_TICKS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)


def plot_unique_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    path: str | Path,
    title: str = 'Unique prototypes',
    references: bool = False,
) -> Path:
    """Draw the share of unique prototypes against the cosine distance.

    As figure 3 of `Why Prototypes Collapse
    <https://arxiv.org/abs/2510.20108>`_.

    Args:
        curves (dict[str, tuple]): Caption, and epsilons (E,) greater than 0
            with shares (E,) in [0, 1], as
            :func:`pauc_mm.evaluation.functional.unique_prototypes` gives
            them.
        path (str or Path): Picture to write; its folder is made.
        title (str): Title of the figure.
        references (bool): Whether the paper's values at 0.025 are drawn:
            DINO 1.5%, CARP 10.8%, decoupled 100%. Defaults to False.

    Returns:
        Path: The file.

    Raises:
        TypeError: If ``curves`` is no mapping.
        ValueError: If a curve is empty, not finite, of unequal lengths or
            out of range.
    """
    check_series(curves, 'curves')
    figure = new_figure(7.2, 4.0 + 0.2 * len(curves))
    axis = figure.subplots()
    draw_unique_curves(axis, curves, references)
    axis.set_title(title)
    return save(figure, path)


def draw_unique_curves(
    axis: Axes,
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    references: bool = False,
) -> None:
    """Draw into given axes; see :func:`plot_unique_curves`."""
    check_series(curves, 'curves')
    low, high = THRESHOLD, THRESHOLD
    for i, (key, curve) in enumerate(curves.items()):
        epsilons, shares = _as_curve(curve, key)
        axis.plot(
            epsilons,
            100 * shares,
            color=colour(i),
            linestyle=line_style(i),
            marker=marker(i) if len(epsilons) <= 20 else None,
            linewidth=2,
            label=key,
            zorder=3,
        )
        low, high = min(low, epsilons[0]), max(high, epsilons[-1])
    axis.axvline(THRESHOLD, color='0.4', linestyle='--', linewidth=1)
    if references:
        _draw_references(axis)
    axis.set_xscale('log')
    axis.set_xlim(low / 1.3, high * 1.3)
    ticks = [tick for tick in _TICKS if low / 1.1 <= tick <= high * 1.1]
    axis.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    axis.minorticks_off()
    axis.set_ylim(-3, 106)
    axis.set_xlabel('cosine distance below which two are one (epsilon)')
    axis.set_ylabel('unique prototypes (%)')
    tidy(axis)
    legend_below(axis, 2 if references else 1)


def _draw_references(axis: Axes) -> None:
    for i, (name, percent) in enumerate(PUBLISHED.items()):
        axis.plot(
            [THRESHOLD],
            [percent],
            linestyle='none',
            marker='^v<'[i],
            markersize=9,
            markerfacecolor='white',
            markeredgecolor='black',
            zorder=4,
            label=f'published: {name} {percent:g}% at {THRESHOLD}',
        )


def _as_curve(curve, key: str) -> tuple[np.ndarray, np.ndarray]:
    name = f'curves[{key!r}]'
    try:
        epsilons, shares = curve
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'{name} must be a pair (epsilons, shares), not {curve!r:.80}.'
        ) from error
    epsilons = as_vector(epsilons, f'epsilons of {name}')
    shares = as_vector(shares, f'shares of {name}')
    if len(epsilons) != len(shares):
        raise ValueError(
            f'{name} has {len(epsilons)} epsilons, but {len(shares)} shares.'
        )
    if epsilons.min() <= 0 or shares.min() < 0 or shares.max() > 1:
        raise ValueError(
            f'{name} needs epsilons > 0 and shares in [0, 1], got epsilons '
            f'from {epsilons.min():g} and shares from {shares.min():g} to '
            f'{shares.max():g}: give shares, not per cent.'
        )
    order = np.argsort(epsilons, kind='stable')
    return epsilons[order], shares[order]
