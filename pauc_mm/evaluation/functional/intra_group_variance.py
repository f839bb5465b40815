# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Variance of embeddings within their groups."""

from __future__ import annotations

import torch

from .checks import ArrayLike, as_groups, as_unit_vectors


def intra_group_variance(embeddings: ArrayLike, groups: ArrayLike) -> float:
    """Measure how tightly the members of each group stick together.

    The mean, over groups, of the mean squared distance between the group's
    l2-normalised members and their mean, which for unit vectors is
    1 - ||mean||^2. Near 0 the groups have coagulated into points. Computed
    in float64.

    Args:
        embeddings (Tensor or ndarray): Shape (N, D), any real dtype.
        groups (Tensor or ndarray): Shape (N,), integers. Samples with a
            negative number are ignored; a group of one member counts as 0.

    Returns:
        float: The variance, in [0, 1].

    Raises:
        ValueError: If no sample belongs to a group, or an embedding is not
            finite or zero.
    """
    points = as_unit_vectors(embeddings).cpu()
    groups = as_groups(groups, len(points))
    points, groups = points[groups >= 0], groups[groups >= 0]
    if not len(groups):
        raise ValueError('No sample belongs to a group (all are negative).')
    _, groups, sizes = groups.unique(return_inverse=True, return_counts=True)
    means = points.new_zeros(len(sizes), points.shape[1])
    means.index_add_(0, groups, points).div_(sizes[:, None])
    squares = (points - means[groups]).square().sum(1)
    sums = torch.zeros_like(sizes, dtype=squares.dtype)
    return (sums.index_add_(0, groups, squares) / sizes).mean().item()
