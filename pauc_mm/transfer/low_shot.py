# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Low-shot classification with linear SVMs on frozen features."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from pauc_mm.evaluation.functional.checks import as_unit_vectors
from pauc_mm.utils import derive_seed
from pauc_mm.utils.checks import check_positive

from .average_precision import MODES, average_precision
from .linear_svm import (
    COSTS,
    FOLDS,
    cross_validate,
    fit_svms,
    is_single_label,
)
from .low_shot_draw import (
    as_targets,
    check_present,
    check_shots,
    draw_images,
)

SHOTS = (1, 2, 4, 8, 16, 'full')
SINGLE_SHOT_COST = 0.5
"""Of PCL's code: one positive cannot be split for a cross-validation."""


def low_shot_svm(
    features: Tensor,
    labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    classes: Sequence[str],
    shots: Sequence[int | str] = SHOTS,
    costs: Sequence[float] = COSTS,
    draws: int = 5,
    seed: int = 0,
    ap: str = 'area',
    jobs: int = 1,
    rows: np.ndarray | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict:
    """Accuracy or mAP of linear SVMs trained on k images of each class.

    Follows PCL (`arXiv 2005.04966 <https://arxiv.org/abs/2005.04966>`_,
    appendix E), which follows Goyal et al. (`arXiv 1905.01235
    <https://arxiv.org/abs/1905.01235>`_): features are l2-normalised, each
    class is told from the rest, see :func:`~.linear_svm.fit_svms`, and the
    images are those of :func:`~.low_shot_draw.draw_images`. One thing is
    different: their code reports low-shot figures for the cost that is best
    on the test images (PCL's: for 0.5, if no others are given), here it is
    chosen by cross-validation on the k images, in three folds or as many as
    k allows, by what is reported (mAP or accuracy). For k = 1 it is 0.5 if
    there is more than one to choose from. All classes share a cost, but with
    'full' and mAP each has its own, as in Goyal et al.

    Args:
        features (Tensor): Of the training images, shape (N, C), or of those
            that ``rows`` names.
        labels (Tensor): Of all training images: shape (N,), int64, one class
            an image; or (N, K) with 1 where an image has a class, -1 where
            not, and 0 where that is left open.
        test_features (Tensor): Shape (M, C).
        test_labels (Tensor): As ``labels``.
        classes (sequence of str): Names of the K classes.
        shots (sequence of int or 'full'): Values of k.
        costs (sequence of float): To choose from; one is taken as it is.
        draws (int): Draws for each k. Defaults to 5.
        seed (int): Of the draws and folds. Defaults to 0.
        ap (str): See :func:`~.average_precision.average_precision`.
        jobs (int): Processes. Defaults to 1.
        rows (ndarray, optional): The images whose features are given, see
            :func:`~.low_shot_draw.needed_rows`. Defaults to all.
        say (callable): Gets a line after each draw.

    Returns:
        dict: ``metric``, 'accuracy' or 'mAP', and ``rows``, a dict for each
        k: ``k``, ``mean``, ``std`` (of a sample, None for one draw),
        ``values``, ``costs`` and ``images`` of each draw, ``unconverged``.

    Raises:
        ValueError: If a class has fewer than k images, a class has none in
            the test set, or an argument is out of range.
    """
    check_options(shots, costs, draws, ap, jobs)
    targets = as_targets(labels, len(classes))
    test_targets = as_targets(test_labels, len(classes))
    check_shots(targets, classes, shots)
    single = is_single_label(targets) and is_single_label(test_targets)
    check_present(test_targets, classes, 'The test set')
    x, test_x = (
        as_unit_vectors(f, name).cpu().numpy()
        for f, name in (
            (features, 'training features'),
            (test_features, 'test features'),
        )
    )
    rows = np.arange(len(targets)) if rows is None else rows
    if len(x) != len(rows):
        raise ValueError(
            f'There are {len(x)} training features and {len(rows)} images.'
        )
    results = []
    for k in shots:
        row = dict(k=k, values=[], costs=[], images=[], unconverged=0)
        for draw in range(1 if k == 'full' else draws):
            drawn = draw_images(targets, k, derive_seed(seed, draw))
            check_present(
                targets[drawn], classes, f'Draw {draw + 1} of k = {k}'
            )
            reduced, basis = _reduce(x[np.searchsorted(rows, drawn)])
            svms, chosen, failed = _fit(
                reduced, targets[drawn], k, costs, single, ap, seed, jobs
            )
            scores = svms.scores(test_x if basis is None else test_x @ basis)
            value = evaluate(scores, test_targets, single, ap).mean()
            row['values'].append(float(value))
            row['costs'].append(chosen)
            row['images'].append(len(drawn))
            row['unconverged'] += failed
            say(f'k = {k}, draw {draw + 1}: {value:.4f}')
        row['mean'] = float(np.mean(row['values']))
        row['std'] = None
        if len(row['values']) > 1:
            row['std'] = float(np.std(row['values'], ddof=1))
        results.append(row)
    return dict(metric='accuracy' if single else 'mAP', rows=results)


def evaluate(
    scores: np.ndarray, targets: np.ndarray, single: bool, ap: str
) -> np.ndarray:
    """Accuracy, shape (1,), or the AP of each class, shape (K,).

    Args:
        scores (ndarray): Shape (N, K).
        targets (ndarray): Shape (N, K); what is 0 does not count.
        single (bool): Whether each image has one class.
        ap (str): Mode of the AP.

    Returns:
        ndarray: From 0 to 1, float64.
    """
    if single:
        return np.array([(scores.argmax(1) == targets.argmax(1)).mean()])
    return np.array(
        [
            average_precision(scores[known, c], targets[known, c] == 1, ap)
            for c, known in enumerate((targets != 0).T)
        ]
    )


def _fit(features, targets, k, costs, single, ap, seed, jobs) -> tuple:
    """The SVMs, the costs that were chosen and how many did not converge."""
    num_classes = targets.shape[1]
    failed = 0
    least = int(min((targets == sign).sum(0).min() for sign in (1, -1)))
    if len(costs) == 1:
        chosen = [costs[0]] * num_classes
    elif k == 1 or least < 2:
        chosen = [SINGLE_SHOT_COST] * num_classes
    else:
        scores, fold, failed = cross_validate(
            features, targets, costs, min(FOLDS, least), seed, jobs
        )
        values = np.stack(
            [_value(s, fold, targets, single, ap) for s in scores]
        )
        if k != 'full':
            values = values.mean(1, keepdims=True)
        # The first of equals has the largest margin.
        best = np.broadcast_to(values.argmax(0), num_classes)
        chosen = [costs[i] for i in best]
    svms = fit_svms(features, targets, chosen, seed, jobs)
    shared = len(set(chosen)) == 1
    return svms, chosen[0] if shared else chosen, failed + svms.unconverged


def _value(scores, fold, targets, single, ap) -> np.ndarray:
    """What one cost reaches, shape (1,) or (K,): the mean over the folds."""
    if single:
        return evaluate(scores, targets, True, ap)
    values = []
    for number in range(fold.max() + 1):
        left = np.where(fold == number, targets, 0)
        values.append(evaluate(scores, left, False, ap))
    return np.mean(values, axis=0)


def _reduce(features: np.ndarray) -> tuple:
    """Turn n < D features into n dimensions, in which nothing is lost.

    The weights of an SVM are a sum of its training images, so that turning
    the space they span leaves the solution as it is.
    """
    if len(features) >= features.shape[1]:
        return features, None
    basis, coordinates = np.linalg.qr(features.T)
    return np.ascontiguousarray(coordinates.T), basis


def check_options(
    shots: Sequence[int | str],
    costs: Sequence[float],
    draws: int,
    ap: str,
    jobs: int,
) -> None:
    """Refuse what does not depend on the images.

    Raises:
        ValueError: Which argument, and what it may be.
    """
    bad = [
        k for k in shots if k != 'full' and (not isinstance(k, int) or k < 1)
    ]
    if bad or not shots or len(set(shots)) < len(shots):
        raise ValueError(
            "shots must be different integers >= 1 or 'full', not "
            f'{list(shots)!r}.'
        )
    if not costs or list(costs) != sorted(set(costs)):
        raise ValueError(f'costs must ascend, not {list(costs)!r}.')
    for cost in costs:
        check_positive('costs', cost)
    for name, value in (('draws', draws), ('jobs', jobs)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f'{name} must be an integer >= 1, not {value!r}.')
    if ap not in MODES:
        raise ValueError(f'ap={ap!r} is unknown: use {" or ".join(MODES)}.')
