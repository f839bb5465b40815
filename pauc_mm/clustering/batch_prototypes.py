# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from typing import Optional

import torch
import torch.nn.functional as F


def batch_prototypes(
    embeddings: torch.Tensor,
    assignments: torch.Tensor,
    centroids: Optional[torch.Tensor] = None,
    centroid_weight: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Prototypes estimated from a batch, through which gradient flows.

    k-means centroids are constants, so a loss on them alone trains nothing.
    The prototype of each cluster that is present in the batch is taken as
    the normalised mean of its members' embeddings, optionally mixed with the
    stored centroid.

    Args:
        embeddings (Tensor): l2-normalised embeddings, shape (N, D), float.
        assignments (Tensor): Cluster of each, shape (N,), int64.
        centroids (Tensor, optional): Stored centroids, shape (K, D); needed
            if ``centroid_weight > 0``.
        centroid_weight (float): Share of the stored centroid in the mix,
            in [0, 1). Defaults to 0.

    Returns:
        tuple[Tensor, Tensor]: l2-normalised prototypes, shape (P, D), and
        their cluster ids in ascending order, shape (P,), int64.
    """
    ids, member_of, counts = torch.unique(
        assignments, return_inverse=True, return_counts=True
    )
    sums = embeddings.new_zeros(len(ids), embeddings.shape[1])
    sums = sums.index_add(0, member_of, embeddings)
    means = F.normalize(sums / counts[:, None], dim=1)
    if centroid_weight > 0:
        stored = centroids[ids].to(means.dtype)
        means = (1 - centroid_weight) * means + centroid_weight * stored
        means = F.normalize(means, dim=1)
    return means, ids
