# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast_object_list, get_rank, get_world_size
from mmpretrain.registry import TASK_UTILS

from pauc_mm.utils import Shard, raise_together

from .kmeans import KMeansResult


def build_kmeans(
    cfg: Mapping | None = None,
    ranks: int | None = None,
    gpu: bool | None = None,
) -> tuple[Any, str]:
    """Build the clusterer of an E-step, and say why it is this one.

    Without ``type`` it is ShardedKMeans where there is a GPU or more than one
    rank, else FaissKMeans. An option that only one of them has decides:
    ``device`` is FaissKMeans', ``scratch`` ShardedKMeans'. ``ranks`` and
    whether there is a GPU may be those of another machine.
    """
    cfg = dict(cfg or {})
    if 'type' in cfg:
        return TASK_UTILS.build(cfg), 'kmeans.type'
    ranks = ranks or get_world_size()
    kind = 'ShardedKMeans'
    if 'device' in cfg:
        kind, why = 'FaissKMeans', 'kmeans.device'
    elif 'scratch' in cfg:
        why = 'kmeans.scratch'
    elif torch.cuda.is_available() if gpu is None else gpu:
        why = 'there is a GPU'
    elif ranks > 1:
        why = f'there are {ranks} processes'
    else:
        kind, why = 'FaissKMeans', 'there is one process and no GPU'
    return TASK_UTILS.build({**cfg, 'type': kind}), why


def cluster_on_ranks(
    kmeans: Any,
    shard: Shard,
    num_clusters: Sequence[int],
    seeds: Sequence[int],
    starts: Sequence[np.ndarray] | None = None,
) -> list[KMeansResult]:
    """Run M clusterings of the same embeddings.

    A collective call; every rank gets all results. A clusterer whose
    ``sharded`` is true works on the shards of all ranks, on one clustering
    after the other. For any other every rank assembles the whole matrix, and
    the ranks share the clusterings.

    Args:
        kmeans: Clusterer with ``fit(features, k, seed[, init])``, whose
            features are a :class:`~pauc_mm.utils.Shard` if it is sharded, else
            an array (N, D), float32.
        shard (Shard): This rank's rows of (N, D), float32.
        num_clusters (Sequence[int]): K of each clustering.
        seeds (Sequence[int]): Seed of each clustering.
        starts (Sequence[np.ndarray], optional): Initial centroids of each;
            None or empty if there are none.

    Returns:
        list[KMeansResult]: M results, the same on every rank.

    Raises:
        RuntimeError: If another rank failed.
    """
    options = [dict(init=start) for start in starts or ()]
    options = options or [{} for _ in num_clusters]
    if getattr(kmeans, 'sharded', False):
        return [
            kmeans.fit(shard, *each, **option)
            for *each, option in zip(num_clusters, seeds, options)
        ]
    features = shard.gather().numpy()
    owners = _owners(num_clusters, get_world_size())
    results: list = [None] * len(owners)
    error = None
    try:
        for m, k in enumerate(num_clusters):
            if owners[m] == get_rank():
                results[m] = kmeans.fit(features, k, seeds[m], **options[m])
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
