# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
import torch.nn.functional as F


def batch_prototypes(
    assignments: torch.Tensor,
    *views: torch.Tensor,
    stored: torch.Tensor | None = None,
    centroid_weight: float = 0.0,
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Estimate prototypes from a batch, through which gradient flows.

    k-means centroids are constants, so a loss on them alone trains nothing.
    The prototype of each cluster that is present in the batch is taken as
    the normalised mean of its members' embeddings, optionally mixed with the
    stored centroid. Row i is the prototype of sample i's cluster, so it
    appears once for each member; the mask counts each cluster once. The
    shapes do not depend on the assignments.

    Args:
        assignments (Tensor): Cluster of each sample, shape (..., N), int64;
            a leading dimension is that of the clusterings.
        *views (Tensor): l2-normalised embeddings of the samples, each of
            shape (N, D), float.
        stored (Tensor, optional): Stored centroid of each sample's cluster,
            shape (..., N, D); needed if ``centroid_weight > 0``.
        centroid_weight (float): Weight of the stored centroid, in [0, 1).

    Returns:
        tuple[list[Tensor], Tensor]: l2-normalised prototypes of each view,
        shape (..., N, D), and a mask that is True for the first member of
        each cluster, shape (..., N), bool.
    """
    same = assignments[..., :, None] == assignments[..., None, :]
    members = same.to(views[0].dtype)
    prototypes = []
    for embeddings in views:
        # The sum has the direction of the mean.
        means = F.normalize(members @ embeddings, dim=-1)
        if stored is not None and centroid_weight > 0:
            means = torch.lerp(means, stored.to(means.dtype), centroid_weight)
            means = F.normalize(means, dim=-1)
        prototypes.append(means)
    return prototypes, ~same.tril(diagonal=-1).any(dim=-1)
