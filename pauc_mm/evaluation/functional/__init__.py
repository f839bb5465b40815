# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measures of embeddings and prototypes, from arrays to numbers."""

from .alignment import alignment
from .clid import CLID, clid, intrinsic_dimension
from .cluster_entropy import cluster_entropy
from .intra_group_variance import intra_group_variance
from .knn import knn_predict
from .koleo import koleo
from .lidar import lidar
from .mutual_information import (
    adjusted_mutual_information,
    feature_label_information,
    group_label_information,
)
from .nemd import NEMDResult, nemd
from .singular_values import singular_values
from .spectral import (
    alpha_req,
    effective_rank,
    nesum,
    rankme,
    stable_rank,
)
from .uniformity import uniformity
from .unique_prototypes import (
    CURVE_EPSILONS,
    copied_prototypes,
    unique_mask,
    unique_prototypes,
)
from .view_agreement import view_agreement
from .void_fraction import void_fraction

__all__ = [
    'CLID',
    'CURVE_EPSILONS',
    'NEMDResult',
    'adjusted_mutual_information',
    'alignment',
    'alpha_req',
    'clid',
    'cluster_entropy',
    'copied_prototypes',
    'effective_rank',
    'feature_label_information',
    'group_label_information',
    'intra_group_variance',
    'intrinsic_dimension',
    'knn_predict',
    'koleo',
    'lidar',
    'nemd',
    'nesum',
    'rankme',
    'singular_values',
    'stable_rank',
    'uniformity',
    'unique_mask',
    'unique_prototypes',
    'view_agreement',
    'void_fraction',
]
