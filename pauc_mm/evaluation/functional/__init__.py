# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measures of embeddings and prototypes, from arrays to numbers."""

from .alignment import alignment
from .cluster_entropy import cluster_entropy
from .effective_rank import effective_rank
from .intra_group_variance import intra_group_variance
from .knn import knn_predict
from .koleo import koleo
from .mutual_information import (
    adjusted_mutual_information,
    feature_label_information,
    group_label_information,
)
from .nemd import NEMDResult, nemd
from .singular_values import singular_values
from .uniformity import uniformity
from .unique_prototypes import (
    UniqueCurve,
    copied_prototypes,
    unique_curve,
    unique_mask,
    unique_prototypes,
)
from .void_fraction import void_fraction

__all__ = [
    'NEMDResult',
    'UniqueCurve',
    'adjusted_mutual_information',
    'alignment',
    'cluster_entropy',
    'copied_prototypes',
    'effective_rank',
    'feature_label_information',
    'group_label_information',
    'intra_group_variance',
    'knn_predict',
    'koleo',
    'nemd',
    'singular_values',
    'uniformity',
    'unique_curve',
    'unique_mask',
    'unique_prototypes',
    'void_fraction',
]
