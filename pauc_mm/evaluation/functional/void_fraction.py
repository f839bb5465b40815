# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import torch

from .checks import ArrayLike, as_unit_vectors

# An arc where ten uniform samples are expected is empty 1 in 22,000 times.
_MIN_EXPECTED = 10


def void_fraction(
    embeddings: ArrayLike, bins: int = 100, threshold: float = 0.1
) -> float:
    """Measure how much of the unit circle embeddings do not use.

    The share of equal arcs that hold fewer than ``threshold`` times the
    samples of a uniform distribution: the voids of figure 2 of `PAUC
    <https://arxiv.org/abs/2210.10194>`_. 0 is a circle without voids; a
    collapse to a point fills one arc or, across a boundary, two: 0.99 or 0.98
    of 100. In more dimensions almost all of the sphere is empty at any
    affordable number of samples: see :func:`uniformity`.

    Args:
        embeddings (Tensor or ndarray): Shape (N, 2), any real dtype, not
            necessarily normalised.
        bins (int): Number of arcs, at least 2.
        threshold (float): Share of the uniform number below which an arc is
            void, in (0, 1].

    Returns:
        float: The share of void arcs, in [0, 1).

    Raises:
        ValueError: If the embeddings are not two-dimensional, there are fewer
            than 10 per arc, one is not finite or zero, or an argument is out
            of range.
    """
    if bins < 2:
        raise ValueError(f'bins must be at least 2, got {bins}.')
    if not 0 < threshold <= 1:
        raise ValueError(f'threshold must lie in (0, 1], got {threshold}.')
    points = as_unit_vectors(embeddings)
    if points.shape[1] != 2:
        raise ValueError(
            'void_fraction needs embeddings of shape (N, 2), got '
            f'{tuple(points.shape)}. In more dimensions use uniformity.'
        )
    if len(points) < _MIN_EXPECTED * bins:
        raise ValueError(
            f'{len(points)} embeddings are too few for {bins} arcs, which '
            f'would be empty by chance: give {_MIN_EXPECTED * bins} or more, '
            f'or at most bins={len(points) // _MIN_EXPECTED}.'
        )
    turn = torch.atan2(points[:, 1], points[:, 0]) / (2 * math.pi) + 0.5
    # Half a turn to either side is the same arc.
    arcs = (turn * bins).floor().long() % bins
    counts = torch.bincount(arcs, minlength=bins)
    void = counts * bins < threshold * len(points)
    return void.double().mean().item()
