# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measures of frozen embeddings, as functions, metrics and loops."""

from .functional import (
    NEMDResult,
    UniqueCurve,
    adjusted_mutual_information,
    alignment,
    cluster_entropy,
    effective_rank,
    feature_label_information,
    group_label_information,
    intra_group_variance,
    knn_predict,
    nemd,
    singular_values,
    uniformity,
    unique_curve,
    unique_prototypes,
    void_fraction,
)
from .metrics import (
    NEMD,
    ClusterAgreement,
    EmbeddingGeometry,
    EmbeddingMetric,
    KNNAccuracy,
)

__all__ = [
    'NEMD',
    'ClusterAgreement',
    'EmbeddingGeometry',
    'EmbeddingMetric',
    'KNNAccuracy',
    'NEMDResult',
    'UniqueCurve',
    'adjusted_mutual_information',
    'alignment',
    'cluster_entropy',
    'effective_rank',
    'feature_label_information',
    'group_label_information',
    'intra_group_variance',
    'knn_predict',
    'nemd',
    'singular_values',
    'uniformity',
    'unique_curve',
    'unique_prototypes',
    'void_fraction',
]
