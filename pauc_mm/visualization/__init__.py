# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Pictures of embeddings and prototypes: data and a path in, PNG out."""

from .circle_projection import circle_density, circle_projection
from .circles import draw_circle, plot_circles
from .cluster_montage import ClusterRow, plot_cluster_montage
from .cluster_sizes import plot_cluster_sizes
from .comparison import plot_comparison
from .embedding_map import plot_embedding_maps, tsne_map
from .epoch_curves import plot_epoch_curves
from .spectra import plot_spectra
from .unique_curves import plot_unique_curves

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
