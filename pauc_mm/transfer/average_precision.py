# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np

from pauc_mm.utils.checks import check_choice

MODES = ('area', '11-point')


def average_precision(
    scores: np.ndarray, positive: np.ndarray, mode: str = 'area'
) -> float:
    """Compute the average precision of a ranking, as Pascal VOC defines it.

    'area' is the area under the curve of the largest precision at a recall or
    a higher one (VOC from 2010 on). The SVM code of Goyal et al. (`arXiv
    1905.01235 <https://arxiv.org/abs/1905.01235>`_) and of PCL uses it on
    VOC07 too. '11-point' is the mean of that precision at the recalls 0, 0.1,
    ..., 1, VOC07's own measure. Images of equal score share one point of the
    curve, so their order does not count.

    Args:
        scores (ndarray): Scores of a class, shape (N,).
        positive (ndarray): Whether each image has the class, (N,), bool.
        mode (str): 'area' or '11-point'.

    Raises:
        ValueError: If no image is positive, a score is not finite, the
            shapes differ or the mode is unknown.
    """
    scores, positive = np.asarray(scores), np.asarray(positive, bool)
    check_choice('mode', mode, MODES)
    if scores.ndim != 1 or scores.shape != positive.shape:
        raise ValueError(
            'scores and positive must both have shape (N,), got '
            f'{scores.shape} and {positive.shape}.'
        )
    if not np.isfinite(scores).all():
        raise ValueError('scores must be finite.')
    if not positive.any():
        raise ValueError(
            'positive must have a positive image, got none. Leave this class '
            'out of the mean.'
        )
    order = np.argsort(-scores, kind='stable')
    ranked = scores[order]
    is_last = np.append(ranked[1:] != ranked[:-1], True)  # of equal scores
    hits = np.cumsum(positive[order])[is_last]
    seen = np.flatnonzero(is_last) + 1
    recall = hits / hits[-1]
    precision = np.maximum.accumulate((hits / seen)[::-1])[::-1]
    if mode == 'area':
        return float(np.diff(recall, prepend=0.0) @ precision)
    # In integers, as 0.1 + 0.2 is not 0.3.
    first = [np.argmax(10 * hits >= t * hits[-1]) for t in range(11)]
    return float(precision[first].mean())
