# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .checks import ArrayLike, as_unit_vectors

_CHUNK = 4096


def view_agreement(x: ArrayLike, y: ArrayLike, prototypes: ArrayLike) -> float:
    """Measure how many images have one prototype in two views.

    The prototype of a view is the nearest one by cosine, the first of equals.
    With one prototype for all images it is 1, a collapse: read it with
    :func:`prototype_usage`. It falls with the number of prototypes, and where
    they are copies rounding chooses among them.

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
    centres = as_unit_vectors(prototypes, 'prototypes')
    if x.shape != y.shape or x.shape[1] != centres.shape[1]:
        raise ValueError(
            'x and y must be views of the same images, as wide as the '
            f'prototypes, got shapes {tuple(x.shape)}, {tuple(y.shape)} and '
            f'{tuple(centres.shape)}.'
        )
    same = sum(
        ((a @ centres.T).argmax(dim=1) == (b @ centres.T).argmax(dim=1)).sum()
        for a, b in zip(x.split(_CHUNK), y.split(_CHUNK))
    )
    return int(same) / len(x)
