# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
from torch import Tensor

from .checks import ArrayLike, as_matrix, subsample

_MIN_CHUNK = 4096


def singular_values(
    embeddings: ArrayLike,
    center: bool = True,
    max_samples: int | None = None,
    seed: int = 0,
) -> Tensor:
    r"""Measure how far embeddings spread along each principal axis.

    The singular values of the (centred) matrix divided by sqrt(N), which are
    the standard deviations along the principal axes and do not depend on the
    number of samples. A spectrum that drops towards zero is a *dimensional*
    collapse (`Jing et al., 2022 <https://arxiv.org/abs/2110.09348>`_). Rows
    are not normalised: do so first if only directions matter.

    Computed in float64 from the matrix itself, block by block, since the
    eigenvalues of its covariance lose everything below 1e-8 of the largest
    singular value. Values within float64's rounding are 0; the rounding of
    float32 embeddings, about 1e-7 of their norm, is not removed.

    Args:
        embeddings (Tensor or ndarray): Shape (N, D), any real dtype.
        center (bool): Whether to subtract the mean row first.
        max_samples (int, optional): Most samples to draw; None takes all.
        seed (int): Seed of that draw.

    Returns:
        Tensor: Shape (min(N, D),), float64, descending, on the same device.

    Raises:
        ValueError: If the embeddings are not a finite matrix.
    """
    points = subsample(as_matrix(embeddings), max_samples, seed)
    number, dim = points.shape
    scale = torch.linalg.vector_norm(points, dtype=torch.float64)
    mean = points.new_zeros(dim, dtype=torch.float64)
    if center:
        mean = points.mean(dim=0, dtype=torch.float64)
    values = torch.linalg.svdvals(_reduced(points, mean))
    # Rounding errors of equal rows are no dimension.
    floor = scale * max(number, dim) * torch.finfo(values.dtype).eps
    return values.masked_fill(values <= floor, 0) / number**0.5


def _reduced(points: Tensor, mean: Tensor) -> Tensor:
    """Return a matrix with the same singular values as points - mean.

    The triangle of a QR decomposition over blocks of rows, of which one at a
    time is held in float64.
    """
    chunk = max(_MIN_CHUNK, 8 * points.shape[1])
    if len(points) <= chunk:
        return points.double() - mean
    triangle = mean[None, :].expand(0, -1)
    for rows in points.split(chunk):
        stacked = torch.cat([triangle, rows.double() - mean])
        triangle = torch.linalg.qr(stacked, mode='r').R
    return triangle
