# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch

from .checks import ArrayLike, as_unit_vectors

# As in DINOv2's loss: exact copies give -log(1e-8) = 18.4 and not infinity.
_EPS = 1e-8


def koleo(
    vectors: ArrayLike, name: str = 'embeddings', chunk: int = 2048
) -> float:
    r"""Measure how near each vector's nearest neighbour is.

    .. math::
        -\frac{1}{n} \sum_i \log \left( \min_{j \neq i}
        \|x_i - x_j\|_2 + 10^{-8} \right)

    after l2 normalisation: `DINOv2's <https://arxiv.org/abs/2304.07193>`_
    loss, and of prototypes that of `Govindarajan et al., 2024
    <https://arxiv.org/abs/2410.14060>`_. Lower is more spread out; it grows
    with n. One copy of each vector looks like a complete collapse. Exact, in
    float64, O(n^2 D) time and O(chunk^2) memory.

    Args:
        vectors (Tensor or ndarray): Embeddings or prototypes, (n, D), any
            real dtype.
        name (str): Name in messages.
        chunk (int): Rows compared with as many others at once.

    Returns:
        float: From -log 2, two opposite vectors, to 18.42, exact copies.

    Raises:
        ValueError: If there are fewer than two vectors, or one is not finite
            or zero.
    """
    points = as_unit_vectors(vectors, name)
    if len(points) < 2:
        raise ValueError(f'koleo needs two {name}, got {len(points)}.')
    best = points.new_full((len(points),), -2.0)
    nearest = best.long()
    for low in range(0, len(points), chunk):
        rows = slice(low, low + chunk)
        for start in range(low, len(points), chunk):
            columns = slice(start, start + chunk)
            cosines = points[rows] @ points[columns].T
            if start == low:
                cosines.fill_diagonal_(-2)
            for here, there, table in (
                (rows, start, cosines),
                # Contiguous: a maximum over columns is three times as slow.
                (columns, low, cosines.T.contiguous()),
            ):
                value, index = table.max(dim=1)
                closer = value > best[here]
                best[here][closer] = value[closer]
                nearest[here][closer] = index[closer] + there
    # By the difference: 2 - 2 cos has lost what is below 1e-8.
    distances = torch.linalg.vector_norm(points - points[nearest], dim=1)
    return -(distances + _EPS).log().mean().item()
