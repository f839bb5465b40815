# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measures of frozen embeddings, as functions, metrics and loops."""

from .embedding_loop import EmbeddingTestLoop, EmbeddingValLoop
from .functional import (
    NEMDResult,
    cluster_entropy,
    effective_rank,
    intra_group_variance,
    knn_predict,
    nemd,
    uniformity,
    unique_prototypes,
)
from .metrics import NEMD, EmbeddingMetric, KNNAccuracy

__all__ = [
    'NEMD',
    'EmbeddingMetric',
    'EmbeddingTestLoop',
    'EmbeddingValLoop',
    'KNNAccuracy',
    'NEMDResult',
    'cluster_entropy',
    'effective_rank',
    'intra_group_variance',
    'knn_predict',
    'nemd',
    'uniformity',
    'unique_prototypes',
]
