# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw singular value spectra and curves of unique prototypes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .style import (
    as_curve,
    as_vector,
    check_series,
    colour,
    legend_below,
    line_style,
    marker,
    save,
    single_panel,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Singular values below this share of the largest are rounding errors.
_FLOOR = 1e-7
THRESHOLD = 0.025
# Percent unique at that threshold, from Why Prototypes Collapse.
PUBLISHED = {'DINO': 1.5, 'CARP': 10.8, 'decoupled': 100.0}

_TICKS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)


def plot_spectra(
    spectra: Mapping[str, Sequence[float]],
    path: str | Path,
    title: str = 'Singular values of the embeddings',
    ranks: Mapping[str, float] | None = None,
) -> Path:
    """Draw spectra of singular values, each divided by its largest.

    A curve with a steep drop is a dimensional collapse (`Jing et al., 2022
    <https://arxiv.org/abs/2110.09348>`_).

    Args:
        spectra (dict[str, sequence of float]): Singular values by caption,
            descending, shape (D,). Those below 1e-7 of the largest are drawn
            at the lower edge.
        path (str or Path): File to write; its folder is made.
        title (str): Title of the figure.
        ranks (dict[str, float], optional): Effective rank by caption, marked
            on the curve. Defaults to None.

    Returns:
        Path: The file.

    Raises:
        TypeError: If ``spectra`` is no mapping.
        ValueError: If a spectrum is empty, not finite, negative, all zero or
            not descending, or a rank has no spectrum.
    """
    check_series(spectra, 'spectra')
    figure, axis = single_panel(spectra, title)
    draw_spectra(axis, spectra, ranks)
    return save(figure, path)


def draw_spectra(
    axis: Axes,
    spectra: Mapping[str, Sequence[float]],
    ranks: Mapping[str, float] | None = None,
) -> None:
    """Draw spectra into given axes; see :func:`plot_spectra`."""
    check_series(spectra, 'spectra')
    ranks = ranks or {}
    if set(ranks) - set(spectra):
        raise ValueError(
            f'ranks must have captions of spectra, {sorted(spectra)}, got '
            f'{sorted(ranks)}.'
        )
    lowest = 1.0
    for i, (key, values) in enumerate(spectra.items()):
        values = _as_spectrum(values, key)
        indices = np.arange(1, len(values) + 1)
        label = key
        if key in ranks:
            label += f' (effective rank {ranks[key]:.1f} of {len(values)})'
            height = np.interp(ranks[key], indices, np.maximum(values, _FLOOR))
            axis.plot(
                [ranks[key]],
                [height],
                marker=marker(i),
                markersize=9,
                markeredgecolor='white',
                color=colour(i),
                zorder=4,
                linestyle='none',
            )
        axis.plot(
            indices,
            values,
            color=colour(i),
            linestyle=line_style(i),
            linewidth=2,
            label=label,
        )
        lowest = min(lowest, max(_FLOOR, values.min()))
    axis.set_yscale('log', nonpositive='clip')
    axis.set_ylim(lowest / 2, 1.6)
    axis.set_xlim(left=0)
    axis.set_xlabel('index of the singular value')
    axis.set_ylabel('singular value / largest')
    tidy(axis)
    legend_below(axis)


def _as_spectrum(values: Sequence[float], key: str) -> np.ndarray:
    name = f'spectra[{key!r}]'
    values = as_vector(values, name)
    if values.min() < 0 or not values[0] > 0:
        raise ValueError(
            f'{name} must be >= 0 and start above 0, got '
            f'{values[:5].tolist()} ... {values[-1]}. If all are zero, the '
            'embeddings are one point.'
        )
    rising = np.flatnonzero(np.diff(values) > 1e-6 * values[0])
    if len(rising):
        raise ValueError(
            f'{name} must be descending, but rises after index '
            f'{int(rising[0])}. Use torch.linalg.svdvals, or sort it.'
        )
    return values / values[0]


def plot_unique_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    path: str | Path,
    title: str = 'Unique prototypes',
    references: bool = False,
) -> Path:
    """Draw the share of unique prototypes against the cosine distance.

    Follows figure 3 of `Why Prototypes Collapse
    <https://arxiv.org/abs/2510.20108>`_.

    Args:
        curves (dict[str, tuple]): Epsilons (E,) > 0 and shares (E,) in [0, 1]
            by caption, see
            :func:`pauc_mm.evaluation.functional.unique_curve`.
        path (str or Path): File to write; its folder is made.
        title (str): Title of the figure.
        references (bool): Whether to draw the paper's values at 0.025: DINO
            1.5%, CARP 10.8%, decoupled 100%. Defaults to False.

    Returns:
        Path: The file.

    Raises:
        TypeError: If ``curves`` is no mapping.
        ValueError: If a curve is empty, not finite, of unequal lengths or
            out of range.
    """
    check_series(curves, 'curves')
    figure, axis = single_panel(curves, title)
    draw_unique_curves(axis, curves, references)
    return save(figure, path)


def draw_unique_curves(
    axis: Axes,
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    references: bool = False,
) -> None:
    """Draw curves into given axes; see :func:`plot_unique_curves`."""
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
    axis.set_xlabel('cosine distance of a copy (epsilon)')
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
    epsilons, shares = as_curve(curve, name, 'epsilons', 'shares')
    if epsilons.min() <= 0 or shares.min() < 0 or shares.max() > 1:
        raise ValueError(
            f'{name} must have epsilons > 0 and shares in [0, 1], got '
            f'epsilons from {epsilons.min():g} and shares from '
            f'{shares.min():g} to {shares.max():g}.'
        )
    return epsilons, shares
