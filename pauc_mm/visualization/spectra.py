# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Singular value spectra of embeddings."""

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

# Below this share of the largest, singular values are rounding.
_FLOOR = 1e-7


def plot_spectra(
    spectra: Mapping[str, Sequence[float]],
    path: str | Path,
    title: str = 'Singular values of the embeddings',
    ranks: Mapping[str, float] | None = None,
) -> Path:
    """Draw spectra of singular values, each divided by its largest.

    A curve that falls off a cliff is a dimensional collapse (`Jing et al.,
    2022 <https://arxiv.org/abs/2110.09348>`_).

    Args:
        spectra (dict[str, sequence of float]): Caption and singular values in
            descending order, shape (D,). Values below 1e-7 of the largest are
            drawn at the lower edge.
        path (str or Path): Picture to write; its folder is made.
        title (str): Title of the figure.
        ranks (dict[str, float], optional): Effective rank by caption, which
            is marked on the curve. Defaults to None.

    Returns:
        Path: The file.

    Raises:
        TypeError: If ``spectra`` is no mapping.
        ValueError: If a spectrum is empty, not finite, negative, all zero or
            not descending, or a rank has no spectrum.
    """
    check_series(spectra, 'spectra')
    figure = new_figure(7.2, 4.0 + 0.2 * len(spectra))
    axis = figure.subplots()
    draw_spectra(axis, spectra, ranks)
    axis.set_title(title)
    return save(figure, path)


def draw_spectra(
    axis: Axes,
    spectra: Mapping[str, Sequence[float]],
    ranks: Mapping[str, float] | None = None,
) -> None:
    """Draw into given axes; see :func:`plot_spectra`."""
    check_series(spectra, 'spectra')
    ranks = ranks or {}
    strangers = sorted(set(ranks) - set(spectra))
    if strangers:
        raise ValueError(
            f'ranks has {strangers}, but spectra only {sorted(spectra)}.'
        )
    lowest = 1.0
    for i, (key, values) in enumerate(spectra.items()):
        values = _as_spectrum(values, key)
        places = np.arange(1, len(values) + 1)
        label = key
        if key in ranks:
            label += f' (effective rank {ranks[key]:.1f} of {len(values)})'
            height = np.interp(ranks[key], places, np.maximum(values, _FLOOR))
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
            places,
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
    axis.set_xlabel('number of the singular value')
    axis.set_ylabel('singular value / largest')
    tidy(axis)
    legend_below(axis)


def _as_spectrum(values: Sequence[float], key: str) -> np.ndarray:
    name = f'spectra[{key!r}]'
    values = as_vector(values, name)
    if values.min() < 0 or not values[0] > 0:
        raise ValueError(
            f'{name} must be >= 0 and start above 0, got '
            f'{values[:5].tolist()} ... {values[-1]}: if all singular values '
            'are zero, the embeddings are one point.'
        )
    rising = np.flatnonzero(np.diff(values) > 1e-6 * values[0])
    if len(rising):
        raise ValueError(
            f'{name} must be in descending order, but rises after place '
            f'{int(rising[0])}: use torch.linalg.svdvals, or sort it.'
        )
    return values / values[0]
