# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw histograms of cluster sizes."""

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
    save,
    single_panel,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The axis is logarithmic if the largest size is so many times the median.
_LARGE_SPREAD = 20


def plot_cluster_sizes(
    sizes: Mapping[str, Sequence[int]],
    path: str | Path,
    title: str = 'Cluster sizes',
) -> Path:
    """Draw the histogram of the sizes of one or several clusterings.

    Follows figure 3a of `PCL <https://arxiv.org/abs/2005.04966>`_. Empty
    clusters have a bin of their own at 0 and are counted in the legend.
    Triangles mark the mean sizes. The axis is logarithmic from 1 on if a size
    is more than 20 times the median of the non-empty clusters.

    Args:
        sizes (dict[str, sequence of int]): Size of each cluster, empty ones
            included, shape (K,), by caption.
        path (str or Path): File to write; its folder is made.
        title (str): Title of the figure.

    Returns:
        Path: The file.

    Raises:
        TypeError: If ``sizes`` is no mapping, or a size no integer.
        ValueError: If there is nothing to draw, or a size is negative.
    """
    check_series(sizes, 'sizes')
    figure, axis = single_panel(sizes, title)
    draw_cluster_sizes(axis, sizes)
    return save(figure, path)


def draw_cluster_sizes(axis: Axes, sizes: Mapping[str, Sequence[int]]) -> None:
    """Draw histograms into given axes; see :func:`plot_cluster_sizes`."""
    check_series(sizes, 'sizes')
    checked = {key: _as_sizes(values, key) for key, values in sizes.items()}
    logarithmic = any(
        values.max() > _LARGE_SPREAD * np.median(values[values > 0])
        for values in checked.values()
    )
    largest = max(int(values.max()) for values in checked.values())
    most = max(len(values) for values in checked.values())
    edges = _edges(largest, int(np.clip(2 * most**0.5, 10, 40)), logarithmic)
    for i, (key, values) in enumerate(checked.items()):
        counts, _ = np.histogram(values, edges)
        style = dict(color=colour(i), linestyle=line_style(i))
        axis.stairs(
            counts,
            edges,
            linewidth=2,
            fill=False,
            label=f'{key}: {len(values)} clusters, mean size '
            f'{values.mean():.1f}, {int((values == 0).sum())} empty',
            **style,
        )
        axis.stairs(counts, edges, fill=True, alpha=0.1, color=colour(i))
        _mark_mean(axis, values.mean(), **style)
    if logarithmic:
        axis.set_xscale('symlog', linthresh=1, linscale=0.4)
        axis.xaxis.set_major_formatter('{x:.0f}')
    axis.set_xlim(edges[0], edges[-1] * 1.02)
    axis.set_ylim(bottom=0)
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.set_xlabel('images in the cluster')
    axis.set_ylabel('number of clusters')
    tidy(axis, 'y')
    legend_below(axis)


def _edges(largest: int, number: int, logarithmic: bool) -> np.ndarray:
    """Return bin edges at half integers, so that no size is on an edge."""
    if logarithmic:
        inner = np.geomspace(1, largest + 1, number)
        inner = np.unique(np.rint(inner).astype(int))
    else:
        width = max(1, -(-largest // number))
        inner = np.arange(1, largest + width + 1, width)
    return np.concatenate([[-0.5], inner - 0.5])


def _mark_mean(axis: Axes, mean: float, **style) -> None:
    axis.axvline(mean, linewidth=1, alpha=0.8, **style)
    axis.plot(
        [mean],
        [1],
        marker='v',
        markersize=9,
        color=style['color'],
        transform=axis.get_xaxis_transform(),
        clip_on=False,
        linestyle='none',
    )


def _as_sizes(values: Sequence[int], key: str) -> np.ndarray:
    name = f'sizes[{key!r}]'
    if np.asarray(values).dtype.kind not in 'iu':
        raise TypeError(
            f'{name} must be integers, got {np.asarray(values).dtype}. Use '
            'np.bincount(assignments, minlength=num_clusters).'
        )
    sizes = as_vector(values, name)
    if sizes.min() < 0 or not sizes.any():
        raise ValueError(
            f'{name} must be >= 0, and one > 0, got '
            f'{sizes[:10].astype(int).tolist()} (first 10).'
        )
    return sizes
