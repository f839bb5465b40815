# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pauc_mm.utils.checks import check_integer

from .checks import ArrayLike, as_matrix, as_unit_vectors, subsample

# Published values are at 0.025, 0.1, 0.25 and 0.5.
# fmt: off
CURVE_EPSILONS = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.035, 0.05,
    0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0,
)
# fmt: on


@dataclass(frozen=True)
class UniqueCurve:
    """Result of :func:`unique_curve`.

    Attributes:
        epsilons (list[float]): Cosine distances, ascending.
        shares (list[float]): Share of unique prototypes at each, (0, 1].
        num_prototypes (int): Prototypes compared.
        total_prototypes (int): Prototypes given.
    """

    epsilons: list[float]
    shares: list[float]
    num_prototypes: int
    total_prototypes: int


def unique_prototypes(
    prototypes: ArrayLike,
    epsilons: Sequence[float] = (0.025, 0.1, 0.25, 0.5),
    chunk: int = 512,
) -> dict[float, float]:
    """Measure the share of unique prototypes.

    Greedily in the given order, a prototype is redundant when its cosine
    distance 1 - cos to one already kept is below epsilon, and kept otherwise;
    the result is the share that is kept (the collapse measure of
    `Why Prototypes Collapse <https://arxiv.org/abs/2510.20108>`_). Epsilons
    are independent of each other, but share the comparisons: O(K^2 D) time at
    most and O(chunk K) memory.

    Args:
        prototypes (Tensor or ndarray): Shape (K, D), any real dtype, any norm
            but zero. Compared in float32, or float64 if given so.
        epsilons (sequence of float): Cosine distances, each greater than 0.
        chunk (int): Prototypes compared at once. Does not change the result.

    Returns:
        dict[float, float]: For each epsilon the share kept, in (0, 1].

    Raises:
        ValueError: If a prototype is not finite or zero, or an epsilon is not
            positive.
    """
    if not len(epsilons) or not all(e > 0 for e in epsilons):
        raise ValueError(
            f'epsilons must be greater than 0, got {list(epsilons)}.'
        )
    given = torch.as_tensor(prototypes).dtype
    dtype = torch.float64 if given == torch.float64 else torch.float32
    points = as_unit_vectors(prototypes, 'prototypes', dtype)
    kept = _num_kept(points, points.new_tensor(epsilons), chunk)
    return {
        epsilon: number / len(points)
        for epsilon, number in zip(epsilons, kept)
    }


def unique_curve(
    prototypes: ArrayLike,
    epsilons: Sequence[float] | None = None,
    max_prototypes: int | None = None,
    seed: int = 0,
    chunk: int = 512,
) -> UniqueCurve:
    """Measure the share of unique prototypes over a range of distances.

    See :func:`unique_prototypes` (figure 3 of `Why Prototypes Collapse
    <https://arxiv.org/abs/2510.20108>`_). A subsample has fewer neighbours
    and so raises the shares: the result says how many were compared.

    Args:
        prototypes (Tensor or ndarray): Shape (K, D), any real dtype.
        epsilons (sequence of float, optional): Cosine distances; None takes 22
            from 0.001 to 1.
        max_prototypes (int, optional): Most prototypes, drawn without
            replacement and kept in order; None takes all.
        seed (int): Seed of that draw.
        chunk (int): See :func:`unique_prototypes`.
    """
    if max_prototypes is not None:
        check_integer('max_prototypes', max_prototypes, 1)
    epsilons = sorted(set(CURVE_EPSILONS if epsilons is None else epsilons))
    prototypes = as_matrix(prototypes, 'prototypes')
    sample = subsample(prototypes, max_prototypes, seed)
    shares = unique_prototypes(sample, epsilons, chunk)
    return UniqueCurve(
        epsilons=epsilons,
        shares=[shares[epsilon] for epsilon in epsilons],
        num_prototypes=len(sample),
        total_prototypes=len(prototypes),
    )


def _num_kept(points: Tensor, epsilons: Tensor, chunk: int) -> list[int]:
    """Return how many of points (K, D) each of the epsilons (E,) keeps."""
    # Prototypes kept by the same epsilons are stored together: the largest
    # cosine to them is all that these epsilons need.
    kept: dict[tuple, Tensor] = {}
    totals = np.zeros(len(epsilons), dtype=np.int64)
    for rows in points.split(chunk):
        nearest = rows.new_full((len(epsilons), len(rows)), math.inf)
        for pattern, members in kept.items():
            distance = 1 - (rows @ members.T).amax(dim=1)
            for i in pattern:
                torch.minimum(nearest[i], distance, out=nearest[i])
        alive = (nearest >= epsilons[:, None]).cpu().numpy()
        distances = (1 - rows @ rows.T).cpu().numpy()
        _drop_near(alive, distances, epsilons.cpu().numpy()[:, None])
        totals += alive.sum(axis=1)
        patterns, index = np.unique(alive.T, axis=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            key = tuple(np.flatnonzero(pattern).tolist())
            if key:
                new = torch.from_numpy(np.flatnonzero(index.ravel() == i))
                old = kept.get(key, rows[:0])
                kept[key] = torch.cat([old, rows[new.to(rows.device)]])
    return totals.tolist()


def _drop_near(alive, distances, epsilons):
    """Clear entries of alive (E, n) that are near one alive before them."""
    for i in range(len(distances) - 1):
        keeping = np.flatnonzero(alive[:, i])
        if len(keeping):
            far = distances[i, i + 1 :] >= epsilons[keeping]
            alive[keeping, i + 1 :] &= far
