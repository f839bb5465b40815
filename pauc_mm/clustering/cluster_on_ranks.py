# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dist import broadcast_object_list, get_rank, get_world_size

from pauc_mm.utils import raise_together

from .kmeans import KMeansResult


def cluster_on_ranks(
    kmeans: Any,
    features: np.ndarray,
    num_clusters: Sequence[int],
    seeds: Sequence[int],
    starts: Sequence[np.ndarray] | None = None,
) -> list[KMeansResult]:
    """Run M clusterings of the same features on the ranks at the same time.

    A collective call; every rank gets all results.

    Args:
        kmeans: Clusterer with ``fit(features, k, seed[, init])``.
        features (np.ndarray): (N, D), float32, the same on every rank.
        num_clusters (Sequence[int]): K of each clustering.
        seeds (Sequence[int]): Seed of each clustering.
        starts (Sequence[np.ndarray], optional): Initial centroids of each;
            None or empty if there are none.

    Returns:
        list[KMeansResult]: M results, the same on every rank.

    Raises:
        RuntimeError: If another rank failed.
    """
    owners = _owners(num_clusters, get_world_size())
    results: list = [None] * len(owners)
    error = None
    try:
        for m, k in enumerate(num_clusters):
            if owners[m] == get_rank():
                start = dict(init=starts[m]) if starts else {}
                results[m] = kmeans.fit(features, k, seeds[m], **start)
    except Exception as caught:
        error = caught
    raise_together(error, 'k-means')
    for m, owner in enumerate(owners):
        shared = [results[m]]
        broadcast_object_list(shared, src=owner)
        results[m] = shared[0]
    return results


def _owners(num_clusters: Sequence[int], world_size: int) -> list[int]:
    """Assign clusterings to ranks, the largest first to the least loaded."""
    load = [0] * world_size  # the time of k-means is proportional to K
    owners = [0] * len(num_clusters)
    for m in sorted(range(len(owners)), key=lambda m: -num_clusters[m]):
        owners[m] = load.index(min(load))
        load[owners[m]] += num_clusters[m]
    return owners
