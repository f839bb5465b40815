# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Classify with linear SVMs on frozen features of few images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pauc_mm.evaluation.functional.checks import as_unit_vectors
from pauc_mm.utils import derive_seed
from pauc_mm.utils.checks import check_choice, check_integer, check_positive
from pauc_mm.utils.tables import mean_and_deviation

from .average_precision import MODES, average_precision
from .linear_svm import COSTS, FOLDS, cross_validate, fit_svms, is_single_label
from .low_shot_draw import as_targets, check_present, check_shots, draw_images

SHOTS = (1, 2, 4, 8, 16, 'full')
SINGLE_SHOT_COST = 0.5
"""PCL's default, as one positive cannot be split for cross-validation."""


@dataclass(frozen=True)
class LowShotOptions:
    """Settings of low-shot linear SVMs.

    Attributes:
        shots (sequence of int or 'full'): Values of k, images of each class.
        costs (sequence of float): Costs to choose from, ascending.
        draws (int): Draws of images for each k.
        seed (int): Seed of the draws and folds.
        ap (str): See :func:`~.average_precision.average_precision`.
        jobs (int): Number of processes.

    Raises:
        ValueError: If an option is out of range.
    """

    shots: Sequence[int | str] = SHOTS
    costs: Sequence[float] = COSTS
    draws: int = 5
    seed: int = 0
    ap: str = 'area'
    jobs: int = 1

    def __post_init__(self) -> None:
        numbers = [k for k in self.shots if k != 'full']
        valid = all(isinstance(k, int) and k >= 1 for k in numbers)
        if not valid or len(set(self.shots)) != max(1, len(self.shots)):
            raise ValueError(
                "shots must be different integers >= 1 or 'full', got "
                f'{list(self.shots)!r}.'
            )
        if not self.costs or list(self.costs) != sorted(set(self.costs)):
            raise ValueError(
                f'costs must be ascending, got {list(self.costs)!r}.'
            )
        for cost in self.costs:
            check_positive('costs', cost)
        check_integer('draws', self.draws, 1)
        check_integer('jobs', self.jobs, 1)
        check_choice('ap', self.ap, MODES)


def low_shot_svm(
    features: Tensor,
    labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    classes: Sequence[str],
    options: LowShotOptions | None = None,
    rows: np.ndarray | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> dict:
    """Measure linear SVMs trained on k images of each class.

    Follows PCL (`arXiv 2005.04966 <https://arxiv.org/abs/2005.04966>`_,
    appendix E), which follows Goyal et al. (`arXiv 1905.01235
    <https://arxiv.org/abs/1905.01235>`_): features are l2-normalised, each
    class is classified against the rest, see :func:`~.linear_svm.fit_svms`,
    and images are drawn by :func:`~.low_shot_draw.draw_images`. The choice of
    the cost differs: their code takes the best on the test images (PCL's: 0.5
    unless told otherwise). Here cross-validation on the k images, in three
    folds or as many as k allows, chooses by the reported metric. A single
    image a class cannot be split: its cost is 0.5, unless only one is given.
    All classes share a cost; with 'full' and mAP each has its own, as in
    Goyal et al.

    Args:
        features (Tensor): Training images, shape (N, C), or those of
            ``rows``.
        labels (Tensor): All training images: shape (N,), int64, for one class
            an image; or (N, K) with 1 for a class of the image, -1 for others
            and 0 for unknown.
        test_features (Tensor): Shape (M, C).
        test_labels (Tensor): As ``labels``.
        classes (sequence of str): Names of the K classes.
        options (LowShotOptions, optional): Settings.
        rows (ndarray, optional): Indices of the images of ``features``, see
            :func:`~.low_shot_draw.needed_rows`. Defaults to all.
        log (callable): Called with a line after each draw.

    Returns:
        dict: ``metric``, 'accuracy' or 'mAP', and ``rows``, a dict for each
        k: ``k``, ``mean``, ``std`` (of a sample, None for one draw),
        ``values``, ``costs`` and ``images`` of each draw, ``unconverged``.

    Raises:
        ValueError: If a class has fewer than k images, or none in the test
            set.
    """
    options = options or LowShotOptions()
    targets = as_targets(labels, len(classes))
    test_targets = as_targets(test_labels, len(classes))
    check_shots(targets, classes, options.shots)
    single = is_single_label(targets) and is_single_label(test_targets)
    check_present(test_targets, classes, 'The test set')
    x = as_unit_vectors(features, 'training features').cpu().numpy()
    test_x = as_unit_vectors(test_features, 'test features').cpu().numpy()
    rows = np.arange(len(targets)) if rows is None else rows
    if len(x) != len(rows):
        raise ValueError(
            f'There must be as many training features as images, {len(rows)}, '
            f'got {len(x)}.'
        )
    results = []
    for k in options.shots:
        row = dict(k=k, values=[], costs=[], images=[], unconverged=0)
        for draw in range(1 if k == 'full' else options.draws):
            drawn = draw_images(targets, k, derive_seed(options.seed, draw))
            some = targets[drawn]
            check_present(some, classes, f'Draw {draw + 1} of k = {k}')
            reduced, basis = _reduce(x[np.searchsorted(rows, drawn)])
            svms, costs, unconverged = _fit(reduced, some, k, single, options)
            scores = svms.scores(test_x if basis is None else test_x @ basis)
            value = evaluate(scores, test_targets, single, options.ap).mean()
            row['values'].append(float(value))
            row['costs'].append(costs)
            row['images'].append(len(drawn))
            row['unconverged'] += unconverged
            log(f'k = {k}, draw {draw + 1}: {value:.4f}')
        summary = mean_and_deviation(row['values'])
        results.append(dict(row, mean=summary.mean, std=summary.spread))
    return dict(metric='accuracy' if single else 'mAP', rows=results)


def evaluate(
    scores: np.ndarray, targets: np.ndarray, single: bool, ap: str
) -> np.ndarray:
    """Compute the accuracy, shape (1,), or the AP of each class, shape (K,).

    Args:
        scores (ndarray): Shape (N, K).
        targets (ndarray): Shape (N, K); 0 is left out.
        single (bool): Whether each image has one class.
        ap (str): Mode of the AP.
    """
    if single:
        return np.array([(scores.argmax(1) == targets.argmax(1)).mean()])
    values = [
        average_precision(scores[known, c], targets[known, c] == 1, ap)
        for c, known in enumerate((targets != 0).T)
    ]
    return np.array(values)


def _fit(features, targets, k, single, options: LowShotOptions) -> tuple:
    """Return SVMs, their costs and the number that did not converge."""
    num_classes, costs = targets.shape[1], options.costs
    unconverged = 0
    fewest = int(min((targets == sign).sum(0).min() for sign in (1, -1)))
    if len(costs) == 1:
        chosen = [costs[0]] * num_classes
    elif k == 1 or fewest < 2:
        chosen = [SINGLE_SHOT_COST] * num_classes
    else:
        folds, seed, jobs = min(FOLDS, fewest), options.seed, options.jobs
        scores, fold, unconverged = cross_validate(
            features, targets, costs, folds, seed, jobs
        )
        values = [_value(s, fold, targets, single, options.ap) for s in scores]
        values = np.stack(values)
        if k != 'full':
            values = values.mean(1, keepdims=True)
        # The first of equals has the largest margin.
        best = np.broadcast_to(values.argmax(0), num_classes)
        chosen = [costs[i] for i in best]
    svms = fit_svms(features, targets, chosen, options.seed, options.jobs)
    shared = chosen[0] if len(set(chosen)) == 1 else chosen
    return svms, shared, unconverged + svms.unconverged


def _value(scores, fold, targets, single, ap) -> np.ndarray:
    """Return the metric of one cost, (1,) or (K,): the mean over the folds."""
    if single:
        return evaluate(scores, targets, True, ap)
    values = [
        evaluate(scores, np.where(fold == number, targets, 0), False, ap)
        for number in range(fold.max() + 1)
    ]
    return np.mean(values, axis=0)


def _reduce(features: np.ndarray) -> tuple:
    """Rotate n < D features losslessly into n dimensions.

    The weights of an SVM are a sum of its training images, so a rotation of
    the space they span does not change the solution.
    """
    if len(features) >= features.shape[1]:
        return features, None
    basis, coordinates = np.linalg.qr(features.T)
    return np.ascontiguousarray(coordinates.T), basis
