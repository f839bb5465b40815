# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch

from pauc_mm.utils.checks import check_integer


def batch_kmeans(
    embeddings: torch.Tensor,
    k: int,
    iterations: int,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cluster a batch into centroids that carry its gradient.

    Lloyd's iterations begin with k rows drawn without replacement. The
    assignments are constants; the centroids, means of their members, are
    not. An empty cluster keeps its centroid and may win members back.
    Nothing waits for the device, and the sums are matrix products, so that
    the same input gives the same bits.

    Args:
        embeddings (Tensor): Shape (N, D), float32 or float64, N >= k.
        k (int): K.
        iterations (int): Number of assignments, >= 1.
        generator (torch.Generator, optional): Generator of the draw, on the
            device of the embeddings. Defaults to torch's own.

    Returns:
        tuple[Tensor, Tensor, Tensor]: The cluster of each sample, shape
        (N,), int64; the centroids, shape (K, D), the means of these very
        clusters, not normalised; and the members of each, shape (K,), of the
        embeddings' dtype, 0 for an empty cluster, whose centroid has no
        gradient.

    Raises:
        ValueError: If k does not fit the batch, or there is no iteration.
    """
    if not 1 <= k <= len(embeddings):
        raise ValueError(
            f'k={k} must be at least 1 and at most the number of embeddings, '
            f'{len(embeddings)}.'
        )
    check_integer('iterations', iterations, 1)
    samples, device = embeddings.detach(), embeddings.device
    order = torch.randperm(len(samples), generator=generator, device=device)
    means = samples.index_select(0, order[:k])
    ids = torch.arange(k, device=device)
    for _ in range(iterations):
        clusters = torch.cdist(samples, means).argmin(dim=1)
        members = (clusters == ids[:, None]).to(samples.dtype)  # (K, N)
        sizes = members.sum(dim=1)
        before, means = means, _means(members, samples, sizes, means)
    return clusters, _means(members, embeddings, sizes, before), sizes


def _means(members, samples, sizes, otherwise):
    """Return the means of members (K, N), or the other rows where none."""
    sizes = sizes[:, None]
    means = members @ samples / sizes.clamp_min(1)
    return torch.where(sizes > 0, means, otherwise)
