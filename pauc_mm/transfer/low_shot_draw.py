# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw the training images of a low-shot classifier."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pauc_mm.utils import derive_seed


def as_targets(labels: Tensor, num_classes: int) -> np.ndarray:
    """Return 1, -1 or 0 for each image and class, shape (N, K), int8.

    Raises:
        ValueError: If the labels are of another form.
    """
    labels = torch.as_tensor(labels).cpu().numpy()
    if labels.ndim == 1:
        if labels.min() < 0 or labels.max() >= num_classes:
            raise ValueError(
                f'labels must lie in [0, {num_classes}), as there are '
                f'{num_classes} class names, got {labels.min()} to '
                f'{labels.max()}.'
            )
        is_class = labels[:, None] == np.arange(num_classes)
        return np.where(is_class, 1, -1).astype(np.int8)
    is_known = np.isin(labels, (-1, 0, 1)).all()
    if labels.shape[1:] != (num_classes,) or not is_known:
        raise ValueError(
            'labels must have shape (N,) or, with 1, -1 or 0 for each class, '
            f'(N, {num_classes}), got shape {labels.shape}.'
        )
    return labels.astype(np.int8)


def draw_images(targets: np.ndarray, k: int | str, seed: int) -> np.ndarray:
    """Draw k images of each class, with all their labels, as PCL's code does.

    An image that is drawn for two classes is used once (twice in PCL's code),
    and a class that often occurs beside others may have more than k images.
    A larger k adds images to those of a smaller one; 'full' takes all.

    Returns:
        ndarray: Rows of the targets (N, K), ascending.
    """
    if k == 'full':
        return np.arange(len(targets))
    drawn = []
    for c, column in enumerate((targets == 1).T):
        rng = np.random.default_rng([seed, c])
        drawn.append(rng.permutation(np.flatnonzero(column))[:k])
    return np.unique(np.concatenate(drawn))


def needed_rows(
    targets: np.ndarray, shots: Sequence[int | str], draws: int, seed: int
) -> np.ndarray:
    """Return all images that the draws of :func:`low_shot_svm` use, ascending.

    Of a large training set, such as Places205, only these need features.
    """
    if 'full' in shots:
        return np.arange(len(targets))
    seeds = [derive_seed(seed, draw) for draw in range(draws)]
    drawn = [draw_images(targets, max(shots), s) for s in seeds]
    return np.unique(np.concatenate(drawn))


def check_shots(
    targets: np.ndarray, classes: Sequence[str], shots: Sequence[int | str]
) -> None:
    """Raise a ValueError that names the classes with fewer than k images."""
    check_present(targets, classes, 'The training set')
    most = max([k for k in shots if k != 'full'], default=1)
    counts = (targets == 1).sum(0)
    few = [f'{classes[c]} ({n})' for c, n in enumerate(counts) if n < most]
    if few:
        raise ValueError(
            f'shots: k = {most} needs {most} images of each class, and '
            f'{len(few)} of the {len(classes)} classes have fewer: '
            f'{", ".join(few[:10])}{", ..." if len(few) > 10 else ""}. Give '
            'more images, or a smaller k.'
        )


def check_present(
    targets: np.ndarray, classes: Sequence[str], where: str
) -> None:
    """Raise a ValueError that names classes without positives or negatives."""
    for value, word in ((1, 'positive'), (-1, 'negative')):
        counts = (targets == value).sum(0)
        missing = [classes[c] for c, n in enumerate(counts) if not n]
        if missing:
            raise ValueError(
                f'{where} has no {word} image of '
                f'{", ".join(missing[:10])}. Give more images, or a larger k.'
            )
