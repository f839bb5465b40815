# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw singular value spectra and curves of unique prototypes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .style import colour, legend_below, line, marker, save, single_panel, tidy

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
            descending from above 0, shape (D,). Those below 1e-7 of the
            largest are drawn at the lower edge.
        path (str or Path): File to write; its folder is made.
        title (str): Title of the figure.
        ranks (dict[str, float], optional): Effective rank by caption, marked
            on the curve.
    """
    figure, axis = single_panel(len(spectra), title)
    lowest = 1.0
    for i, (key, spectrum) in enumerate(spectra.items()):
        values = np.asarray(spectrum) / spectrum[0]
        indices = np.arange(1, len(values) + 1)
        label = key
        if ranks and key in ranks:
            label += f' (effective rank {ranks[key]:.1f} of {len(values)})'
            height = np.interp(ranks[key], indices, np.maximum(values, _FLOOR))
            look = dict(color=colour(i), markeredgecolor='white', zorder=4)
            axis.plot(ranks[key], height, marker(i), markersize=9, **look)
        axis.plot(indices, values, **line(i), linewidth=2, label=label)
        lowest = min(lowest, max(_FLOOR, values.min()))
    axis.set_yscale('log', nonpositive='clip')
    axis.set(ylim=(lowest / 2, 1.6), ylabel='singular value / largest')
    axis.set(xlim=(0, None), xlabel='index of the singular value')
    tidy(axis)
    legend_below(axis)
    return save(figure, path)


def plot_unique_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    path: str | Path,
    references: bool = False,
) -> Path:
    """Draw the share of unique prototypes against the cosine distance.

    Follows figure 3 of `Why Prototypes Collapse
    <https://arxiv.org/abs/2510.20108>`_.

    Args:
        curves (dict[str, tuple]): Epsilons (E,) > 0, ascending, and shares
            (E,) in [0, 1] by caption, see
            :func:`pauc_mm.evaluation.functional.unique_prototypes`.
        path (str or Path): File to write; its folder is made.
        references (bool): Whether to draw the paper's values at 0.025.
    """
    figure, axis = single_panel(len(curves), 'Unique prototypes')
    for i, (key, (epsilons, shares)) in enumerate(curves.items()):
        look = dict(line(i), linewidth=2, label=key, zorder=3)
        look['marker'] = marker(i) if len(epsilons) <= 20 else None
        axis.plot(epsilons, 100 * np.asarray(shares), **look)
    axis.axvline(THRESHOLD, color='0.4', linestyle='--', linewidth=1)
    if references:
        look = dict(markerfacecolor='white', markeredgecolor='black', zorder=4)
        for symbol, (name, percent) in zip('^v<', PUBLISHED.items()):
            label = f'published: {name} {percent:g}% at {THRESHOLD}'
            look.update(markersize=9, label=label)
            axis.plot(THRESHOLD, percent, symbol, **look)
    low = min(THRESHOLD, *(epsilons[0] for epsilons, _ in curves.values()))
    high = max(THRESHOLD, *(epsilons[-1] for epsilons, _ in curves.values()))
    axis.set_xscale('log')
    axis.set_xlim(low / 1.3, high * 1.3)
    ticks = [tick for tick in _TICKS if low / 1.1 <= tick <= high * 1.1]
    axis.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    axis.minorticks_off()
    axis.set(ylim=(-3, 106), ylabel='unique prototypes (%)')
    axis.set_xlabel('cosine distance of a copy (epsilon)')
    tidy(axis)
    legend_below(axis, 2 if references else 1)
    return save(figure, path)
