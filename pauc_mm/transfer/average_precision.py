# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

MODES = ('area', '11-point')


def average_precision(
    scores: np.ndarray, positive: np.ndarray, mode: str = 'area'
) -> float:
    """Average precision of a ranking, as Pascal VOC defines it.

    'area' is the area under the curve of the largest precision that is
    reached at a recall or a higher one (VOC from 2010 on). The code with
    which the SVM figures of Goyal et al. (`arXiv 1905.01235
    <https://arxiv.org/abs/1905.01235>`_) and of PCL were made has it on VOC07
    too. '11-point' is the mean of that precision at the recalls 0, 0.1, ...,
    1, VOC07's own measure. Images of one score share one point of the curve,
    so that the order in which they are given does not count.

    Args:
        scores (ndarray): Of a class, shape (N,), the higher the surer.
        positive (ndarray): Whether each image has the class, shape (N,),
            bool.
        mode (str): 'area' or '11-point'. Defaults to 'area'.

    Returns:
        float: From 0 to 1.

    Raises:
        ValueError: If no image is positive, a score is not finite, the
            shapes differ or the mode is unknown.
    """
    scores, positive = np.asarray(scores), np.asarray(positive, bool)
    if mode not in MODES:
        raise ValueError(
            f'mode={mode!r} is unknown: use {" or ".join(MODES)}.'
        )
    if scores.ndim != 1 or scores.shape != positive.shape:
        raise ValueError(
            'scores and positive must both have shape (N,), got '
            f'{scores.shape} and {positive.shape}.'
        )
    if not np.isfinite(scores).all():
        raise ValueError('scores must be finite.')
    if not positive.any():
        raise ValueError(
            'No image is positive, so that there is no recall: leave this '
            'class out of the mean.'
        )
    order = np.argsort(-scores, kind='stable')
    ranked = scores[order]
    last_of_a_score = np.append(ranked[1:] != ranked[:-1], True)
    hits = np.cumsum(positive[order])[last_of_a_score]
    seen = np.flatnonzero(last_of_a_score) + 1
    recall = hits / hits[-1]
    precision = np.maximum.accumulate((hits / seen)[::-1])[::-1]
    if mode == 'area':
        return float(np.diff(recall, prepend=0.0) @ precision)
    # In whole numbers: 0.1 + 0.2 is not 0.3.
    first = [np.argmax(10 * hits >= t * hits[-1]) for t in range(11)]
    return float(precision[first].mean())
