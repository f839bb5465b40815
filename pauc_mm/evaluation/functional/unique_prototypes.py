# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Share of prototypes that are not copies of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ._checks import ArrayLike, as_unit_vectors


def unique_prototypes(
    prototypes: ArrayLike,
    epsilons: Sequence[float] = (0.025, 0.1, 0.25, 0.5),
    chunk: int = 512,
) -> dict[float, float]:
    """Measure which share of prototypes is unique.

    Greedily in the given order, a prototype is redundant when its cosine
    distance 1 - cos to one already kept is below epsilon, and kept otherwise;
    the result is the share that is kept (the collapse measure of
    `Why Prototypes Collapse <https://arxiv.org/abs/2510.20108>`_).

    Args:
        prototypes (Tensor or ndarray): Shape (K, D), any real dtype, any norm
            but zero. Compared in float32, or float64 if given so.
        epsilons (sequence of float): Cosine distances, each greater than 0.
            Defaults to (0.025, 0.1, 0.25, 0.5).
        chunk (int): Prototypes compared with the kept ones at once. Does not
            change the result. Defaults to 512.

    Returns:
        dict[float, float]: For each epsilon the share kept, in (0, 1].

    Raises:
        ValueError: If a prototype is not finite or zero, or an epsilon is not
            positive.
    """
    if not epsilons or min(epsilons) <= 0:
        raise ValueError(
            f'epsilons must be greater than 0, got {list(epsilons)}.'
        )
    given = torch.as_tensor(prototypes).dtype
    dtype = torch.float64 if given == torch.float64 else torch.float32
    points = as_unit_vectors(prototypes, 'prototypes', dtype)
    return {
        epsilon: _num_kept(points, epsilon, chunk) / len(points)
        for epsilon in epsilons
    }


def _num_kept(points: Tensor, epsilon: float, chunk: int) -> int:
    kept = points[:0]
    for rows in points.split(chunk):
        if len(kept):
            rows = rows[((1 - rows @ kept.T) >= epsilon).all(dim=1)]
        near = ((1 - rows @ rows.T) < epsilon).cpu().numpy()
        alive = np.ones(len(rows), dtype=bool)
        for i in range(len(rows)):
            if alive[i]:
                alive[i + 1 :] &= ~near[i, i + 1 :]
        kept = torch.cat([kept, rows[torch.from_numpy(alive).to(rows.device)]])
    return len(kept)
