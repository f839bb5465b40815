# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from .checks import ArrayLike, as_unit_vectors

# fmt: off
CURVE_EPSILONS = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.035, 0.05,
    0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0,
)
# fmt: on
"""Those of a curve. Published values are at 0.025, 0.1, 0.25 and 0.5."""

CHUNK = 512
_BLOCK = 8192  # prototypes that a chunk is compared with at once
_PAIRS = 1 << 14  # compared in float64 at once


def unique_prototypes(
    prototypes: ArrayLike,
    epsilons: Sequence[float] = (0.025, 0.1, 0.25, 0.5),
    chunk: int = CHUNK,
) -> dict[float, float]:
    """Measure the share of unique prototypes.

    Greedily in the given order, a prototype is redundant when its cosine
    distance 1 - cos to one already kept is below epsilon, and kept otherwise;
    the result is the share that is kept (the collapse measure of
    `Why Prototypes Collapse <https://arxiv.org/abs/2510.20108>`_). Epsilons
    are independent of each other, but share the comparisons: O(K^2 D) time at
    most and O(K D) memory.

    Every decision is that of float64, in which the given values are
    normalised and multiplied. Most are made in float32, whose cosines err by
    at most about D * 2^-24 (1.6e-5 for D = 256), in whatever order they are
    summed: a distance as near to an epsilon as that is computed again.

    Args:
        prototypes (Tensor or ndarray): Shape (K, D), any real dtype, any norm
            but zero.
        epsilons (sequence of float): Cosine distances, each greater than 0.
        chunk (int): Prototypes compared at once. Does not change the result.

    Returns:
        dict[float, float]: For each epsilon the share kept, in (0, 1].

    Raises:
        ValueError: If a prototype is not finite or zero, or an epsilon is not
            positive.
    """
    kept = unique_mask(prototypes, epsilons, chunk)
    return {
        epsilon: int(row.sum()) / len(row)
        for epsilon, row in zip(epsilons, kept)
    }


def unique_mask(
    prototypes: ArrayLike,
    epsilons: Sequence[float],
    chunk: int = CHUNK,
    track: Callable[[Sequence], Iterable] = iter,
) -> Tensor:
    """Tell which prototypes are unique, see :func:`unique_prototypes`.

    Args:
        prototypes (Tensor or ndarray): Shape (K, D), any real dtype.
        epsilons (sequence of float): E cosine distances.
        chunk (int): Prototypes compared at once.
        track (callable): Iterates over the chunks, for a progress bar.

    Returns:
        Tensor: Whether each is kept at each epsilon, shape (E, K), bool, CPU.

    Raises:
        ValueError: See :func:`unique_prototypes`.
    """
    if not len(epsilons) or not all(e > 0 for e in epsilons):
        raise ValueError(
            f'epsilons must be greater than 0, got {list(epsilons)}.'
        )
    points = _Directions(prototypes, epsilons)
    limits = points.limits.cpu().numpy()[:, None]
    # Prototypes kept by the same epsilons are compared together: the largest
    # cosine to them is all that these epsilons need.
    kept: dict[tuple, Tensor] = {}
    masks = []
    indices = torch.arange(len(points.exact), device=points.exact.device)
    for rows in track(indices.split(chunk)):
        nearest = points.nearest(rows, kept, exact=False)
        unsure = points.is_unsure(nearest).any(dim=0)
        if unsure.any():
            again = points.nearest(rows[unsure], kept, exact=True)
            nearest[:, unsure] = again
        alive = nearest.cpu().numpy() >= limits
        distances = points.distances(rows, rows, exact=True)
        _drop_near(alive, distances.cpu().numpy(), limits)
        masks.append(torch.from_numpy(alive))
        patterns, index = np.unique(alive.T, axis=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            key = tuple(np.flatnonzero(pattern).tolist())
            if key:
                new = rows[np.flatnonzero(index.ravel() == i)]
                kept[key] = torch.cat([kept.get(key, new[:0]), new])
    return torch.cat(masks, dim=1)


def copied_prototypes(
    prototypes: ArrayLike, kept: Tensor, epsilon: float
) -> Tensor:
    """Find the prototype that each is a copy of.

    It is the first one kept that is nearer than epsilon. Copies of one are a
    group; they can be up to about 4 epsilon from each other.

    Args:
        prototypes (Tensor or ndarray): Shape (K, D), any real dtype.
        kept (Tensor): Those that are unique at epsilon, from
            :func:`unique_mask`, shape (K,), bool.
        epsilon (float): Cosine distance.

    Returns:
        Tensor: Index of the one copied, or its own for one that is kept,
        shape (K,), int64, CPU.
    """
    points = _Directions(prototypes, (epsilon,))
    kept = kept.to(points.exact.device)
    copied = torch.arange(len(kept), device=kept.device)
    others = kept.nonzero().flatten()
    rest = (~kept).nonzero().flatten()
    for rows in rest.split(CHUNK) if len(rest) else ():
        near = [
            points.distances(rows, block, exact=True) < epsilon
            for block in others[others < rows[-1]].split(_BLOCK)
        ]
        # argmax takes the first of the largest.
        copied[rows] = others[torch.cat(near, dim=1).byte().argmax(dim=1)]
    return copied.cpu()


class _Directions:
    """Unit vectors (K, D), and their distances on the right side of epsilons.

    That is the side of the distances in float64.
    """

    def __init__(
        self, prototypes: ArrayLike, epsilons: Sequence[float]
    ) -> None:
        self.exact = as_unit_vectors(prototypes, 'prototypes')
        self.limits = self.exact.new_tensor(epsilons)
        # TF32 and bfloat16, which a user can allow, have other errors.
        is_float32 = torch.get_float32_matmul_precision() == 'highest'
        self._rough = self.exact.float() if is_float32 else self.exact
        # With u = 2^-24: rounding the factors 2u, summing D products at most
        # D u / (1 - D u), subtracting from 1 and from epsilon at most 4u.
        self._error = 1.01 * (self.exact.shape[1] + 8) * 2.0**-24

    def nearest(self, rows: Tensor, kept: dict, exact: bool) -> Tensor:
        """Return the distance of rows (n,) to the nearest that is kept.

        ``kept`` has indices of prototypes (m,) by the indices of the epsilons
        that keep them. Shape (E, n), float64; infinite where there is none.
        """
        shape = len(self.limits), len(rows)
        nearest = self.exact.new_full(shape, math.inf)
        for pattern, members in kept.items():
            for others in members.split(_BLOCK):
                distance = self.distances(rows, others, exact).amin(dim=1)
                for i in pattern:
                    torch.minimum(nearest[i], distance, out=nearest[i])
        return nearest

    def distances(self, rows: Tensor, others: Tensor, exact: bool) -> Tensor:
        """Return cosine distances of rows (n,) to others (m,), (n, m).

        Without ``exact`` they are float32, and some may be on the wrong side
        of an epsilon, see :meth:`is_unsure`; else float64.
        """
        distances = 1 - self._rough[rows] @ self._rough[others].T
        if not exact:
            return distances
        unsure = self.is_unsure(distances).nonzero()
        distances = distances.double()
        for i, j in (pairs.unbind(dim=1) for pairs in unsure.split(_PAIRS)):
            # Row by row, so that the order of a sum is always the same.
            products = self.exact[rows[i]] * self.exact[others[j]]
            distances[i, j] = 1 - products.sum(dim=1)
        return distances

    def is_unsure(self, distances: Tensor) -> Tensor:
        """Tell which distances are too near to an epsilon for float32."""
        unsure = torch.zeros_like(distances, dtype=torch.bool)
        for limit in self.limits.tolist():
            unsure |= (distances - limit).abs_() <= self._error
        return unsure


def _drop_near(alive, distances, epsilons):
    """Clear entries of alive (E, n) that are near one alive before them."""
    for i in range(len(distances) - 1):
        keeping = np.flatnonzero(alive[:, i])
        if len(keeping):
            far = distances[i, i + 1 :] >= epsilons[keeping]
            alive[keeping, i + 1 :] &= far
