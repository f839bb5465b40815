# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch

from .mixture.start import nearest_mean


def batch_kmeans(
    embeddings: torch.Tensor,
    k: int,
    iterations: int,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """k-means of a batch, whose centroids carry the gradient of the batch.

    Lloyd's iterations begin with k rows drawn at random, no row twice. The
    assignments are constants; the centroids, means of their members, are
    not. A cluster that loses its members stays where it is and may win some
    back. Nothing waits for the device, and the sums are matrix products, so
    that the same input gives the same bits.

    Args:
        embeddings (Tensor): Shape (N, D), float32 or float64, N >= k.
        k (int): K.
        iterations (int): How often the samples are assigned, >= 1.
        generator (torch.Generator, optional): Of the draw, on the device of
            the embeddings. Defaults to torch's own.

    Returns:
        tuple[Tensor, Tensor, Tensor]: The cluster of each sample, shape
        (N,), int64; the centroids, shape (K, D), the means of these very
        clusters, not normalised; and the samples of each, shape (K,), of the
        embeddings' dtype, 0 for an empty cluster, whose centroid is no mean
        and has no gradient.

    Raises:
        ValueError: If k does not fit the batch, or there is no iteration.
    """
    if not 1 <= k <= len(embeddings):
        raise ValueError(
            f'k={k} must be at least 1 and at most the number of embeddings, '
            f'{len(embeddings)}.'
        )
    if iterations < 1:
        raise ValueError(f'iterations must be >= 1, not {iterations}.')
    samples, device = embeddings.detach(), embeddings.device
    order = torch.randperm(len(samples), generator=generator, device=device)
    means = samples.index_select(0, order[:k])
    names = torch.arange(k, device=device)
    for _ in range(iterations):
        clusters = nearest_mean(samples, means, rows=len(samples))
        members = (clusters == names[:, None]).to(samples.dtype)
        counts = members.sum(dim=1)
        before, means = means, _means(members, samples, counts, means)
    return clusters, _means(members, embeddings, counts, before), counts


def _means(members, samples, counts, otherwise):
    """Means of the members (K, N); where there are none, the other rows."""
    counts = counts[:, None]
    means = members @ samples / counts.clamp_min(1)
    return torch.where(counts > 0, means, otherwise)
