# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .checks import ArrayLike, as_unit_vectors

_CHUNK = 4096


def view_agreement(x: ArrayLike, y: ArrayLike, prototypes: ArrayLike) -> float:
    """Measure how many images have one nearest prototype in two views.

    Nearest by cosine, the first of equals. It is also 1 if one prototype has
    all images: read it with :func:`cluster_entropy`. It falls with K, and
    where prototypes are copies rounding chooses among them.

    Args:
        x (Tensor or ndarray): Embeddings of one view, (N, D), any real dtype.
        y (Tensor or ndarray): Those of the other view, (N, D).
        prototypes (Tensor or ndarray): Shape (K, D).

    Returns:
        float: The share of images, from 0 to 1.

    Raises:
        ValueError: If shapes do not fit, or a vector is not finite or zero.
    """
    x, y = as_unit_vectors(x, 'views x'), as_unit_vectors(y, 'views y')
    axes = as_unit_vectors(prototypes, 'prototypes').T
    if x.shape != y.shape or x.shape[1] != len(axes):
        raise ValueError(
            'x and y must be views of the same images, as wide as prototypes, '
            f'got {tuple(x.shape)}, {tuple(y.shape)} and {tuple(axes.T.shape)}'
        )
    same = sum(
        int(((a @ axes).argmax(dim=1) == (b @ axes).argmax(dim=1)).sum())
        for a, b in zip(x.split(_CHUNK), y.split(_CHUNK))
    )
    return same / len(x)
