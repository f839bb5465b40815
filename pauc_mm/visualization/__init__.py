# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .embedding_map import plot_embedding_maps, tsne_map

__all__ = ['plot_embedding_maps', 'tsne_map']
