# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .checks import ArrayLike, as_groups, as_unit_vectors


def intra_group_variance(embeddings: ArrayLike, groups: ArrayLike) -> float:
    """Measure how widely the members of each group spread.

    The mean, over groups, of the mean squared distance between the group's
    l2-normalised members and their mean, which for unit vectors is
    1 - ||mean||^2, in float64. Near 0 the groups have coagulated into points.

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
    ids = as_groups(groups, len(points))
    points, ids = points[ids >= 0], ids[ids >= 0]
    if not len(ids):
        raise ValueError('No sample belongs to a group (all are negative).')
    _, ids, sizes = ids.unique(return_inverse=True, return_counts=True)
    means = points.new_zeros(len(sizes), points.shape[1])
    means.index_add_(0, ids, points).div_(sizes[:, None])
    squares = (points - means[ids]).square().sum(1)
    sums = points.new_zeros(len(sizes)).index_add_(0, ids, squares)
    return (sums / sizes).mean().item()
