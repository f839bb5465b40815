# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
from torch import Tensor

from .checks import ArrayLike
from .singular_values import singular_values


def effective_rank(
    embeddings: ArrayLike,
    center: bool = True,
    max_samples: int | None = None,
    seed: int = 0,
) -> float:
    r"""Measure how many dimensions embeddings effectively use.

    The exponential of the entropy of the singular values divided by their sum
    (`Roy and Vetterli, 2007 <https://infoscience.epfl.ch/record/110188>`_),
    in float64. Rows are not normalised: do so first if only directions
    matter.

    Args:
        embeddings (Tensor or ndarray): Shape (N, D), any real dtype.
        center (bool): Whether to subtract the mean row first, so that a common
            offset does not count as a dimension.
        max_samples (int, optional): Most samples to draw; None takes all.
        seed (int): Seed of that draw.

    Returns:
        float: The effective rank, between 1 and min(N, D); 0 if all singular
        values are zero: (centred) all rows are equal.

    Raises:
        ValueError: If the embeddings are not a finite matrix.
    """
    return rank_of_spectrum(
        singular_values(embeddings, center, max_samples, seed)
    )


def rank_of_spectrum(values: Tensor, epsilon: float = 0.0) -> float:
    """Return the effective rank of singular values (R,), on any scale.

    ``epsilon`` is added to each share; 0 is returned where all values are 0.
    """
    if not values.any():
        return 0.0
    share = values / values.sum() + epsilon
    return torch.special.entr(share).sum().exp().item()
