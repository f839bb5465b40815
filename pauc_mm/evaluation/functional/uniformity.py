# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import torch

from .checks import ArrayLike, as_unit_vectors, subsample


def uniformity(
    embeddings: ArrayLike,
    t: float = 2.0,
    max_samples: int | None = None,
    seed: int = 0,
    chunk: int = 512,
) -> float:
    r"""Measure how evenly embeddings cover the unit hypersphere.

    .. math::
        \log E_{x \neq y} \exp(-t \|x - y\|_2^2)

    over all unordered pairs of distinct samples, after l2 normalisation
    (`Wang and Isola, 2020 <https://arxiv.org/abs/2005.10242>`_). 0 is a total
    collapse; lower is more uniform. Exact, in float64, O(N^2) time and
    O(chunk N) memory.

    Args:
        embeddings (Tensor or ndarray): Shape (N, D), any real dtype.
        t (float): Inverse width of the Gaussian.
        max_samples (int, optional): Most samples to draw; None takes all.
        seed (int): Seed of that draw.
        chunk (int): Rows compared with all at once.

    Returns:
        float: The uniformity, at most 0.

    Raises:
        ValueError: If there are fewer than two samples, if one is not finite
            or zero, or if t is not positive.
    """
    if t <= 0:
        raise ValueError(f't must be greater than 0, got {t}.')
    points = subsample(as_unit_vectors(embeddings), max_samples, seed)
    number = len(points)
    if number < 2:
        raise ValueError(f'uniformity needs two samples, got {number}.')
    total = points.new_tensor(-math.inf)
    for start in range(0, number - 1, chunk):
        rows = points[start : start + chunk]
        # ||x - y||^2 = 2 - 2 x.y for unit vectors; each pair once.
        exponent = (rows @ points[start:].T - 1) * (2 * t)
        exponent = exponent.clamp_(max=0)
        upper = torch.ones_like(exponent, dtype=torch.bool).triu(1)
        total = torch.logaddexp(total, exponent[upper].logsumexp(0))
    return (total - math.log(number * (number - 1) / 2)).item()
