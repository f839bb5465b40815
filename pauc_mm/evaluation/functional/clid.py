# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from typing import NamedTuple

import torch

from .checks import ArrayLike, as_groups, as_matrix, as_unit_vectors
from .knn import knn_predict

MIN_POINTS = 20
_CHUNK = 1024


class CLID(NamedTuple):
    """Result of :func:`clid`.

    Attributes:
        learnability (float): CL, in [0, 1].
        dimension (float): ID, above 0.
    """

    learnability: float
    dimension: float


def clid(embeddings: ArrayLike, clusters: ArrayLike | Sequence[int]) -> CLID:
    """Measure cluster learnability and intrinsic dimension.

    CL is the accuracy of the nearest neighbour for cluster numbers, each
    sample by all others, ID the dimension by TwoNN, both of l2-normalised
    embeddings (`Lu et al., 2023 <https://arxiv.org/abs/2206.01251>`_). CLID
    is the sum of the two, each standardised over the models to compare: one
    model has none. Neither says much alone: two points are learned perfectly.

    Args:
        embeddings (Tensor or ndarray): Shape (N, D), any real dtype.
        clusters (Tensor, ndarray or sequence): Shape (N,), integers >= 0, of
            k-means with the same K for all models.

    Raises:
        ValueError: See :func:`knn_predict` and :func:`intrinsic_dimension`.
        ImportError: If faiss is missing.
    """
    unit = as_unit_vectors(embeddings)
    labels = as_groups(clusters, len(unit), 'clusters')
    number = int(labels.max()) + 1
    found = knn_predict(unit, unit, labels, number, 1, exclude_self=True)
    accuracy = (found[1] == labels).double().mean().item()
    return CLID(accuracy, intrinsic_dimension(unit))


def intrinsic_dimension(embeddings: ArrayLike) -> float:
    r"""Measure the dimension of the surface that samples lie on, by TwoNN.

    The slope through the origin of :math:`-\log(1 - i / N)` over the i-th
    smallest :math:`\log(r_2 / r_1)`, the ratio of a sample's distances to its
    two nearest neighbours, without the largest tenth (`Facco et al., 2017
    <https://doi.org/10.1038/s41598-017-11873-y>`_). Exact copies of others
    are left out. Above some ten dimensions it underestimates.

    Args:
        embeddings (Tensor or ndarray): Shape (N, D), any real dtype.

    Raises:
        ValueError: If one is not finite, or fewer than 20 are no copies.
    """
    points = as_matrix(embeddings).double().unique(dim=0)
    if len(points) < MIN_POINTS:
        raise ValueError(
            f'intrinsic_dimension needs {MIN_POINTS} embeddings that differ, '
            f'got {len(points)}.'
        )
    ratios = []
    for rows in points.split(_CHUNK):
        _, near = torch.cdist(rows, points).topk(3, largest=False)
        # By the difference, for cdist rounds; one of the three is itself.
        gaps = points[near] - rows[:, None]
        distances = torch.linalg.vector_norm(gaps, dim=2).sort(dim=1)[0]
        ratios.append(distances[:, 2] / distances[:, 1])
    x = torch.cat(ratios).log().sort()[0][: int(0.9 * len(points))]
    share = torch.arange(1, len(x) + 1).to(x) / len(points)
    return (-(1 - share).log() @ x / (x @ x)).item()
