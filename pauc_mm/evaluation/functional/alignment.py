# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch

from .checks import ArrayLike, as_unit_vectors


def alignment(x: ArrayLike, y: ArrayLike, alpha: float = 2.0) -> float:
    r"""Measure how close the embeddings of two views of an image are.

    .. math::
        E_{(x, y)} \|x - y\|_2^\alpha

    over the positive pairs, after l2 normalisation, in float64 (`Wang and
    Isola, 2020 <https://arxiv.org/abs/2005.10242>`_). 0 is perfect, and also
    a total collapse: read it with :func:`uniformity`. For alpha = 2,
    unrelated pairs give 2 on average if embeddings have mean 0.

    Args:
        x (Tensor or ndarray): Shape (N, D), any real dtype.
        y (Tensor or ndarray): Shape (N, D); row i is the other view of the
            image of row i of ``x``.
        alpha (float): Exponent of the distance.

    Returns:
        float: The alignment, from 0 to 2^alpha.

    Raises:
        ValueError: If the shapes differ, an embedding is not finite or zero,
            or alpha is not positive.
    """
    if not alpha > 0:
        raise ValueError(f'alpha must be greater than 0, got {alpha}.')
    x = as_unit_vectors(x, 'embeddings x')
    y = as_unit_vectors(y, 'embeddings y')
    if x.shape != y.shape:
        raise ValueError(
            'x and y must hold the two views of the same samples, got shapes '
            f'{tuple(x.shape)} and {tuple(y.shape)}.'
        )
    distances = torch.linalg.vector_norm(x - y.to(x.device), dim=1)
    return distances.pow(alpha).mean().item()
