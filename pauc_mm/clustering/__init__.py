# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .batch_kmeans import batch_kmeans
from .batch_prototypes import batch_prototypes
from .cluster_on_ranks import build_kmeans, cluster_on_ranks
from .concentration import concentration
from .kmeans import FaissKMeans, KMeansResult
from .mixture import OnlineGaussianMixture
from .negatives import sample_negative_prototypes
from .sharded_kmeans import ShardedKMeans

__all__ = [
    'FaissKMeans',
    'KMeansResult',
    'OnlineGaussianMixture',
    'ShardedKMeans',
    'batch_kmeans',
    'batch_prototypes',
    'build_kmeans',
    'cluster_on_ranks',
    'concentration',
    'sample_negative_prototypes',
]
