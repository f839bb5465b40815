# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Means and variances from which a mixture begins."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from pauc_mm.utils import derive_seed

ENOUGH = 4096  # embeddings for one variance
TRIALS = 24  # candidates for each mean
ITERATIONS = 10  # of k-means
RUNS = 5  # of which the best is taken


def random_directions(
    embeddings: torch.Tensor, k: int, seed: int
) -> torch.Tensor:
    """Directions drawn uniformly, as long as the embeddings are.

    Args:
        embeddings (Tensor): Shape (N, D), float.
        k (int): How many.
        seed (int): Of the draw, the same on every device.

    Returns:
        Tensor: Shape (k, D), of the root mean square length of embeddings.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(k, embeddings.shape[1], generator=generator)
    length = embeddings.square().sum(dim=1).mean().sqrt()
    return F.normalize(directions, dim=1).to(embeddings) * length


def random_rows(embeddings: torch.Tensor, k: int, seed: int) -> torch.Tensor:
    """K embeddings drawn at random without replacement.

    Args:
        embeddings (Tensor): Shape (N, D), N >= k, float.
        k (int): How many.
        seed (int): Of the draw, the same on every device.

    Returns:
        Tensor: Shape (k, D).

    Raises:
        ValueError: Two of them are equal. Components that begin alike stay
            alike for ever.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(embeddings), generator=generator)[:k]
    means = embeddings[rows.to(embeddings.device)]
    different = len(torch.unique(means, dim=0))
    if different < k:
        raise ValueError(_too_few(different, k, len(embeddings)))
    return means


def plus_plus_rows(
    embeddings: torch.Tensor, k: int, seed: int
) -> torch.Tensor:
    """K embeddings that lie apart: greedy k-means++.

    Each is drawn in proportion to its squared distance from those before
    (Arthur and Vassilvitskii, *k-means++*, 2007); of several draws the one
    that leaves the least distance is taken. In many dimensions the distances
    within a cluster are not much smaller than those between clusters, and
    2 + log k draws, the usual number, leave clusters without a mean; hence
    more. The time is that of k N products of a row and ``TRIALS`` others.

    Args:
        embeddings (Tensor): Shape (N, D), N >= k, float.
        k (int): How many.
        seed (int): Of the draws, the same on every device.

    Returns:
        Tensor: Shape (k, D), no two alike.

    Raises:
        ValueError: There are fewer than k different embeddings.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(embeddings), (1,), generator=generator)
    rows = rows.to(embeddings.device)
    centred = embeddings - embeddings.mean(dim=0)
    squares = centred.square().sum(dim=1)
    closest = _squared_distances(centred, squares, rows)[0]
    chosen = [rows]
    for count in range(1, k):
        # In float64, or the last of many embeddings could not be drawn; on
        # the CPU, where a sum is the same each time.
        ladder = closest.double().cpu().cumsum(0)
        if not ladder[-1] > 0:
            raise ValueError(_too_few(count, k, len(embeddings)))
        draws = torch.rand(TRIALS, generator=generator, dtype=torch.float64)
        rows = torch.searchsorted(ladder, draws * ladder[-1])
        rows = rows.clamp(max=len(embeddings) - 1).to(embeddings.device)
        left = _squared_distances(centred, squares, rows)
        left = torch.minimum(left, closest)
        best = left.sum(dim=1).argmin()
        closest = left[best]
        chosen.append(rows[best][None])
    return embeddings[torch.cat(chosen)]


def best_kmeans(
    embeddings: torch.Tensor, k: int, seed: int, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The best of ``RUNS`` runs of k-means, by the sum of squares.

    Args:
        embeddings (Tensor): Shape (N, D), N >= k, float.
        k (int): K.
        seed (int): Of the draws; the runs take ``RUNS`` seeds of their own.
        rows (int): Embeddings to take at a time, for the memory.

    Returns:
        tuple[Tensor, Tensor]: As :func:`lloyd`.

    Raises:
        ValueError: There are fewer than k different embeddings.
    """
    best, least = None, None
    for run in range(RUNS):
        means = plus_plus_rows(embeddings, k, seed=derive_seed(seed, run))
        means, counts = lloyd(embeddings, means, rows)
        own = means[nearest_mean(embeddings, means, rows)]
        squares = (embeddings - own).square().sum()
        if least is None or squares < least:
            best, least = (means, counts), squares
    return best


def lloyd(
    embeddings: torch.Tensor, means: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Iterations of k-means, until nothing changes or ``ITERATIONS``.

    Args:
        embeddings (Tensor): Shape (N, D).
        means (Tensor): Where to begin, shape (K, D).
        rows (int): Embeddings to take at a time, for the memory.

    Returns:
        tuple[Tensor, Tensor]: The means, of which one without embeddings
        stays where it is, and the embeddings of each, shape (K,).
    """
    previous = None
    for _ in range(ITERATIONS):
        nearest = nearest_mean(embeddings, means, rows)
        if previous is not None and torch.equal(nearest, previous):
            break
        previous = nearest
        counts = torch.bincount(nearest, minlength=len(means)).to(means)
        sums = torch.zeros_like(means).index_add_(0, nearest, embeddings)
        some = counts[:, None] > 0
        means = torch.where(some, sums / counts.clamp_min(1)[:, None], means)
    return means, counts


def pooled_variance(
    embeddings: torch.Tensor, means: torch.Tensor, rows: int
) -> torch.Tensor:
    """Variance of embeddings about the nearest of the means.

    One for all components, since few embeddings fall to each. Of many
    embeddings every n-th is taken; those that are a mean are not counted.

    Args:
        embeddings (Tensor): Shape (N, D).
        means (Tensor): Shape (K, D).
        rows (int): Embeddings to take at a time, for the memory.

    Returns:
        Tensor: Shape (D,); zero if all embeddings are means.
    """
    sample = embeddings[:: max(len(embeddings) // ENOUGH, 1)]
    difference = sample - means[nearest_mean(sample, means, rows)]
    count = difference.any(dim=1).sum().clamp_min(1)
    return difference.square().sum(dim=0) / count


def nearest_mean(
    embeddings: torch.Tensor, means: torch.Tensor, rows: int
) -> torch.Tensor:
    """Place of the nearest of the means.

    Args:
        embeddings (Tensor): Shape (N, D).
        means (Tensor): Shape (K, D).
        rows (int): Embeddings to take at a time, for the memory.

    Returns:
        Tensor: Shape (N,), int64.
    """
    parts = embeddings.split(rows)
    return torch.cat(
        [torch.cdist(part, means).argmin(dim=1) for part in parts]
    )


def _squared_distances(centred, squares, rows):
    """From some rows to all, shape (rows, N); 0 between equal ones."""
    sums = squares[rows, None] + squares
    distances = torch.addmm(sums, centred[rows], centred.T, alpha=-2)
    # What rounding leaves of the difference of large numbers.
    return distances.masked_fill_(distances < 1e-5 * sums, 0)


def _too_few(different: int, k: int, samples: int) -> str:
    return (
        f'num_components={k}, but only {different} different embeddings can '
        f'be drawn from the {samples} seen at initialisation. Lower '
        'num_components, raise init_samples, or, if the embeddings are alike '
        'because the encoder has collapsed, look there.'
    )


DRAWS = {'random': random_rows, 'directions': random_directions}
