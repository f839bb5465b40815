# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measures of embeddings and prototypes: arrays in, numbers out."""

from .cluster_entropy import cluster_entropy
from .effective_rank import effective_rank
from .intra_group_variance import intra_group_variance
from .knn import knn_predict
from .nemd import NEMDResult, nemd
from .uniformity import uniformity
from .unique_prototypes import unique_prototypes

__all__ = [
    'NEMDResult',
    'cluster_entropy',
    'effective_rank',
    'intra_group_variance',
    'knn_predict',
    'nemd',
    'uniformity',
    'unique_prototypes',
]
