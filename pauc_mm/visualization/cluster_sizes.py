# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw histograms of cluster sizes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .style import colour, legend_below, line, save, single_panel, tidy

# The axis is logarithmic if the largest size is so many times the median.
_LARGE_SPREAD = 20


def plot_cluster_sizes(
    sizes: Mapping[str, Sequence[int]], path: str | Path
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
    """
    arrays = {key: np.asarray(values) for key, values in sizes.items()}
    logarithmic = any(
        values.max() > _LARGE_SPREAD * np.median(values[values > 0])
        for values in arrays.values()
    )
    largest = max(int(values.max()) for values in arrays.values())
    most = max(len(values) for values in arrays.values())
    edges = _edges(largest, int(np.clip(2 * most**0.5, 10, 40)), logarithmic)
    figure, axis = single_panel(len(sizes), 'Cluster sizes')
    for i, (key, values) in enumerate(arrays.items()):
        counts, _ = np.histogram(values, edges)
        mean, empty = values.mean(), int((values == 0).sum())
        label = f'{key}: {len(values)} clusters, mean size {mean:.1f}, '
        label += f'{empty} empty'
        axis.stairs(counts, edges, linewidth=2, label=label, **line(i))
        axis.stairs(counts, edges, fill=True, alpha=0.1, color=colour(i))
        axis.axvline(mean, linewidth=1, alpha=0.8, **line(i))
        look = dict(markersize=9, color=colour(i), clip_on=False)
        axis.plot(mean, 1, 'v', transform=axis.get_xaxis_transform(), **look)
    if logarithmic:
        axis.set_xscale('symlog', linthresh=1, linscale=0.4)
        axis.xaxis.set_major_formatter('{x:.0f}')
    axis.set_xlim(edges[0], edges[-1] * 1.02)
    axis.set_ylim(bottom=0)
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.set(xlabel='images in the cluster', ylabel='number of clusters')
    tidy(axis, 'y')
    legend_below(axis)
    return save(figure, path)


def _edges(largest: int, number: int, logarithmic: bool) -> np.ndarray:
    """Return bin edges at half integers, so that no size is on an edge."""
    if logarithmic:
        inner = np.geomspace(1, largest + 1, number)
        inner = np.unique(np.rint(inner).astype(int))
    else:
        width = max(1, -(-largest // number))
        inner = np.arange(1, largest + width + 1, width)
    return np.concatenate([[-0.5], inner - 0.5])
