# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw embeddings and prototypes: data and a path in, PNG out."""

from .circles import (
    circle_density,
    circle_projection,
    draw_circle,
    plot_circles,
)
from .cluster_montage import ClusterRow, plot_cluster_montage
from .cluster_sizes import plot_cluster_sizes
from .curves import plot_spectra, plot_unique_curves
from .embedding_map import plot_embedding_maps, tsne_map
from .measures import plot_comparison, plot_epoch_curves

__all__ = [
    'ClusterRow',
    'circle_density',
    'circle_projection',
    'draw_circle',
    'plot_circles',
    'plot_cluster_montage',
    'plot_cluster_sizes',
    'plot_comparison',
    'plot_embedding_maps',
    'plot_epoch_curves',
    'plot_spectra',
    'plot_unique_curves',
    'tsne_map',
]
