# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Metrics registered in mmpretrain's METRICS."""

from .cluster_agreement import ClusterAgreement
from .embedding_geometry import EmbeddingGeometry
from .embedding_metric import EmbeddingMetric
from .knn_accuracy import KNNAccuracy
from .nemd import NEMD

__all__ = [
    'NEMD',
    'ClusterAgreement',
    'EmbeddingGeometry',
    'EmbeddingMetric',
    'KNNAccuracy',
]
