# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Long-tailed data: images that a class keeps, and groups of classes."""

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np

from .labelled_subset import draw_rows

GROUPS = ('head', 'middle', 'tail')


def long_tail_counts(largest: int, num_classes: int, rho: float) -> list[int]:
    """Return the numbers of images from the most frequent class to the rarest.

    The rule of `long-tailed CIFAR <https://arxiv.org/abs/1906.07413>`_ (Cao
    et al. 2019): class number r of C keeps ``largest * rho**(-r / (C - 1))``
    images, rounded down, so that the first has ``rho`` times as many as the
    last.

    Raises:
        ValueError: ``rho`` is not a finite number >= 1, there are fewer than
            two classes, or a class would keep no image.
    """
    if not isinstance(rho, Real) or not 1 <= rho < float('inf'):
        raise ValueError(
            f'imbalance={rho!r} must be a finite number >= 1, the size of '
            'the first class over that of the last. It is the inverse of '
            "LDAM's imb_factor: give 100 for 0.01."
        )
    if num_classes < 2:
        raise ValueError(f'imbalance needs >= 2 classes, got {num_classes}.')
    if largest < rho:
        raise ValueError(
            f'imbalance={rho!r} leaves the last class without an image: the '
            f'first has {largest}, so imbalance can be at most {largest}.'
        )
    exact = largest * rho ** (-np.arange(num_classes) / (num_classes - 1))
    # 500 / 10 may come out as 49.999...
    return np.floor(exact + 1e-9 * largest).astype(int).tolist()


def class_ranking(
    classes: Sequence[int], seed: int | None = None
) -> list[int]:
    """Return the order of the classes, the most frequent first.

    They are ranked by label, as in long-tailed CIFAR, or with a seed permuted,
    so that other classes become rare, by NumPy's legacy ``RandomState``, whose
    stream is frozen.

    Raises:
        ValueError: The seed is not an integer or out of range.
    """
    if seed is None:
        return sorted(int(c) for c in classes)
    if not isinstance(seed, Integral) or not 0 <= seed < 2**32:
        raise ValueError(
            f'imbalance_seed={seed!r} must be an integer from 0 to 2**32 - 1.'
        )
    order = np.random.RandomState(seed).permutation(len(classes))
    return [int(np.sort(classes)[i]) for i in order]


def long_tail_rows(
    labels: np.ndarray, rho: float, seed: int | None = None
) -> np.ndarray:
    """Draw a long-tailed part of labelled images.

    The first class has as many images as the smallest class of ``labels``, so
    that sizes depend on the rank alone. :func:`~.labelled_subset.draw_rows`
    draws the images of a class: those that remain under a larger ``rho``
    remain under a smaller one. ``seed`` is that of :func:`class_ranking`, and
    of the draw of images, where None is 0; what is raised is that function's
    and :func:`long_tail_counts`'.

    Returns:
        ndarray: Ascending indices, int64, shape (n,).
    """
    classes, available = np.unique(labels, return_counts=True)
    largest = int(min(available, default=0))
    counts = long_tail_counts(largest, len(classes), rho)
    drawn = []
    for label, count in zip(class_ranking(classes, seed), counts):
        rows = np.flatnonzero(labels == label)
        chosen = draw_rows(labels[rows], per_class=count, seed=seed or 0)
        drawn.append(rows[chosen])
    return np.sort(np.concatenate(drawn))


def head_middle_tail(counts: Sequence[int]) -> dict[str, list[int]]:
    """Divide classes into frequent, medium and rare ones.

    Thirds of the classes by rank, the first ones larger if three does not
    divide their number: 34, 33 and 33 of 100, 4, 3 and 3 of 10. Classes of
    one size are ranked by label. ``counts`` are those of training images.

    Returns:
        dict[str, list[int]]: Labels by :data:`GROUPS`, each from the most
        frequent to the rarest.

    Raises:
        ValueError: There are fewer than three classes, or all have the same
            number of images.
    """
    counts = np.asarray(counts)
    if len(counts) < len(GROUPS):
        raise ValueError(
            f'Head, middle and tail need 3 classes or more, got {len(counts)}.'
        )
    if counts.min() == counts.max():
        raise ValueError(
            f'All {len(counts)} classes have {counts[0]} training images: '
            'there is no head and no tail. Use a long-tailed training set '
            '(imbalance above 1).'
        )
    order = np.argsort(-counts, kind='stable')
    thirds = np.array_split(order, len(GROUPS))
    return {name: part.tolist() for name, part in zip(GROUPS, thirds)}
