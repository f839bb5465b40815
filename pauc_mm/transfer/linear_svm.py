# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Fit linear SVMs of one class against the rest."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pauc_mm.utils.require import require

COSTS = tuple(
    sorted([10.0**p for p in range(-7, 3)] + [0.5**p for p in range(4, 20)])
)
"""Grid of Goyal et al.'s code: 10^-7 to 10^2 and 2^-19 to 2^-4."""

FOLDS = 3
MAX_ITER = 2000
SETTINGS = dict(class_weight={1: 2, -1: 1}, dual=True, max_iter=MAX_ITER)


class SVMs(NamedTuple):
    """One linear SVM for each class."""

    weights: np.ndarray  # shape (K, D), float64
    biases: np.ndarray  # shape (K,), float64
    unconverged: int  # number of SVMs that reached MAX_ITER

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return the scores (N, K) of features (N, D)."""
        return features @ self.weights.T + self.biases


def fit_svms(
    features: np.ndarray,
    targets: np.ndarray,
    costs: Sequence[float],
    seed: int = 0,
    jobs: int = 1,
) -> SVMs:
    """Fit the SVM of each class by liblinear.

    Settings of Goyal et al. and of PCL: squared hinge, l2 penalty on weights
    and bias, dual problem, positives of twice the weight, tolerance 1e-4 and
    at most 2,000 iterations.

    Features are l2-normalised, (N, D), float64; targets (N, K) are 1 for
    positive, -1 for negative, 0 for left out of the class; ``costs`` has C of
    each class, ``seed`` is that of liblinear's order, ``jobs`` the processes.

    Raises:
        ValueError: If a class has no positives or no negatives.
        ImportError: If scikit-learn is missing.
    """
    tasks = [
        (features, targets[:, c], [cost], None, seed)
        for c, cost in enumerate(costs)
    ]
    planes, unconverged = zip(*_run(tasks, jobs))
    planes = np.stack([plane[0, 0] for plane in planes])
    return SVMs(planes[:, :-1], planes[:, -1], sum(unconverged))


def cross_validate(
    features: np.ndarray,
    targets: np.ndarray,
    costs: Sequence[float],
    folds: int = FOLDS,
    seed: int = 0,
    jobs: int = 1,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Score each image by SVMs that were not trained on it.

    Folds have equal shares of the positives of a class. They are the same for
    all classes if each image has one class, else each class has its own.

    Arguments are those of :func:`fit_svms`, but each class tries all costs.

    Returns:
        tuple[ndarray, ndarray, int]: Scores, shape (costs, N, K), NaN where
        the target is 0; folds, shape (N, K), -1 where the target is 0; number
        of SVMs that did not converge.
    """
    fold = fold_numbers(targets, folds, seed)
    tasks = [
        (features, targets[:, c], costs, fold[:, c], seed)
        for c in range(targets.shape[1])
    ]
    scores = np.full((len(costs), *targets.shape), np.nan)
    unconverged = 0
    for c, (planes, failures) in enumerate(_run(tasks, jobs)):
        unconverged += failures
        for number, plane in enumerate(planes):
            rows = np.flatnonzero(fold[:, c] == number)
            values = features[rows] @ plane[:, :-1].T + plane[:, -1]
            scores[:, rows, c] = values.T
    return scores, fold, unconverged


def fold_numbers(targets: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each image and class, (N, K), -1 if left out."""
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    result = np.full(targets.shape, -1)
    columns = enumerate(targets.T)
    if is_single_label(targets):
        columns = [(slice(None), targets.argmax(1) + 1)]  # 0 is unknown
    for c, column in columns:
        known = np.flatnonzero(column)
        parts = splitter.split(known, column[known])
        for number, (_, rows) in enumerate(parts):
            result[known[rows], c] = number
    return result


def is_single_label(targets: np.ndarray) -> bool:
    """Return whether each image has one class and no unknown ones."""
    return bool(((targets == 1).sum(1) == 1).all() and (targets != 0).all())


def _run(tasks: list[tuple], jobs: int) -> list[tuple]:
    require('sklearn', 'scikit-learn', 'A linear SVM')
    from joblib import Parallel, delayed

    # Threads of one process would share liblinear's random numbers.
    return Parallel(n_jobs=jobs)(delayed(_fit_class)(*task) for task in tasks)


def _fit_class(features, column, costs, fold, seed) -> tuple:
    """Return weights and bias of each fold and cost, (F, costs, D + 1)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    known = column != 0
    parts = [known]
    if fold is not None:
        parts = [known & (fold != i) for i in range(fold.max() + 1)]
    planes = np.empty((len(parts), len(costs), features.shape[1] + 1))
    unconverged = 0
    for i, rows in enumerate(parts):
        x, y = features[rows], column[rows]
        for j, cost in enumerate(costs):
            svm = LinearSVC(C=cost, random_state=seed, **SETTINGS)
            with warnings.catch_warnings():
                # Counted and reported once, not for each SVM.
                warnings.simplefilter('ignore', ConvergenceWarning)
                svm.fit(x, y)
            unconverged += int(svm.n_iter_ >= MAX_ITER)
            planes[i, j, :-1] = svm.coef_[0]
            planes[i, j, -1] = svm.intercept_[0]
    return planes, unconverged
