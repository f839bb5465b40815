# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dist import broadcast, get_rank, get_world_size

from pauc_mm.utils import raise_together

from .kmeans import KMeansResult


def cluster_on_ranks(
    kmeans,
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
    results: list[KMeansResult | None] = [None] * len(owners)
    error = None
    try:
        for m, k in enumerate(num_clusters):
            if owners[m] == get_rank():
                start = dict(init=starts[m]) if starts else {}
                results[m] = kmeans.fit(features, k, seeds[m], **start)
    except Exception as caught:
        error = caught
    raise_together(error, 'k-means')
    if get_world_size() == 1:
        return results
    return [
        _share(result, owner, len(features))
        for result, owner in zip(results, owners)
    ]


def _owners(num_clusters: Sequence[int], world_size: int) -> list[int]:
    """Assign clusterings to ranks, the largest first to the least loaded.

    The time of k-means is proportional to K.
    """
    load = [0] * world_size
    owners = [0] * len(num_clusters)
    for m in sorted(range(len(owners)), key=lambda m: -num_clusters[m]):
        owners[m] = load.index(min(load))
        load[owners[m]] += num_clusters[m]
    return owners


def _share(
    result: KMeansResult | None, source: int, num_samples: int
) -> KMeansResult:
    """Broadcast a clustering from the rank that computed it."""
    sizes = torch.zeros(3, dtype=torch.int64)
    if result is not None:
        sizes = torch.tensor([*result.centroids.shape, result.num_trained])
    broadcast(sizes, src=source)
    rows, dim, num_trained = sizes.tolist()
    if result is None:
        centroids = torch.empty(rows, dim)
        assignments = torch.empty(num_samples, dtype=torch.int64)
        distances = torch.empty(num_samples)
    else:
        centroids = torch.from_numpy(result.centroids)
        assignments = torch.from_numpy(result.assignments)
        distances = torch.from_numpy(result.distances)
    for tensor in (centroids, assignments, distances):
        broadcast(tensor, src=source)
    return KMeansResult(
        assignments=assignments.numpy(),
        centroids=centroids.numpy(),
        distances=distances.numpy(),
        num_trained=num_trained,
    )
