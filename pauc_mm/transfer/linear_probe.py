# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pauc_mm.evaluation.functional.checks import (
    ArrayLike,
    as_groups,
    as_matrix,
)

from .probe_training import (
    ProbeOptions,
    Standardiser,
    logits_in_parts,
    train_classifiers,
)


@dataclass
class LinearProbe:
    """Linear classifier of frozen features.

    Attributes:
        standardise (Standardiser): Applied to the features.
        weights (Tensor): Shape (C + 1, 1, K), float32; the last row is the
            bias.
    """

    standardise: Standardiser
    weights: Tensor

    def logits(self, features: ArrayLike) -> Tensor:
        """Compute class scores (N, K), float32, on the CPU.

        Args:
            features (Tensor or ndarray): Shape (N, C), not standardised.

        Raises:
            ValueError: If features are not finite or of another width.
        """
        features = as_matrix(features, 'features')
        width = len(self.weights) - 1
        if features.shape[1] != width:
            raise ValueError(
                f'features must have shape (N, {width}), as in training, got '
                f'{tuple(features.shape)}.'
            )
        rows = torch.arange(len(features))
        parts = logits_in_parts(features, rows, self.standardise, self.weights)
        return torch.cat([logits[:, 0].cpu() for _, logits in parts])

    def accuracies(
        self,
        features: ArrayLike,
        labels: ArrayLike,
        top: Sequence[int] = (1, 5),
    ) -> dict[int, float]:
        """Compute the top-k accuracies in [0, 1] by k.

        Args:
            features (Tensor or ndarray): Shape (N, C).
            labels (Tensor or ndarray): Shape (N,), integers.
            top (sequence of int): Values of k; those that are not below the
                number of classes are left out.
        """
        logits = self.logits(features)
        labels = as_groups(labels, len(logits), 'labels')
        top = [k for k in top if k < logits.shape[1]]
        best = logits.topk(max(top)).indices == labels[:, None]
        return {k: best[:, :k].any(1).double().mean().item() for k in top}


@dataclass
class ProbeSelection:
    """Linear probe that was selected from a grid.

    Attributes:
        probe (LinearProbe): Trained on all training images.
        grid (list[tuple[float, float]]): Pairs (learning rate, weight decay).
        best (int): Index of the selected pair.
        held_out_accuracies (list[float]): Accuracy of each pair on the
            held-out images; NaN if it diverged.
        num_held_out (int): Number of held-out images.
        epochs (int): Passes over the training images.
    """

    probe: LinearProbe
    grid: list[tuple[float, float]]
    best: int
    held_out_accuracies: list[float]
    num_held_out: int
    epochs: int

    @property
    def learning_rate(self) -> float:
        """Selected learning rate."""
        return self.grid[self.best][0]

    @property
    def at_an_end(self) -> bool:
        """Whether a rate outside the grid may be better."""
        rates = {rate for rate, _ in self.grid}
        ends = min(rates), max(rates)
        return len(rates) > 1 and self.learning_rate in ends


def fit_linear_probe(
    features: ArrayLike,
    labels: ArrayLike,
    options: ProbeOptions | None = None,
    num_classes: int | None = None,
    device: str | torch.device | None = None,
) -> ProbeSelection:
    """Train a linear classifier on cached features.

    All learning rates (times all weight decays) are trained at once, see
    :func:`~.probe_training.train_classifiers`, on all but the held-out
    training images. The pair with the highest accuracy on held-out images,
    and of equals the lowest cross-entropy, is trained again on all of them.
    Features are standardised and not augmented: the accuracy is not that of
    the papers' 100 epochs on random crops, but ranks the same encoders in a
    thousandth of the time.

    Args:
        features (Tensor or ndarray): Training images, shape (N, C).
        labels (Tensor or ndarray): Shape (N,), integers in
            [0, num_classes).
        options (ProbeOptions, optional): Hyper-parameters.
        num_classes (int, optional): Defaults to the largest label plus 1.
        device (str or torch.device, optional): Device to train on. Defaults
            to that of the features, which stay where they are.

    Raises:
        ValueError: If there are fewer than two classes or no class with two
            images, a feature is not finite, or every classifier diverged.
        TypeError: If labels are not integers.
    """
    options = options or ProbeOptions()
    features = as_matrix(features, 'features')
    labels = as_groups(labels, len(features), 'labels')
    num_classes = _num_classes(labels, num_classes)
    train, held_out = split_by_class(labels, options.held_out, options.seed)
    # The number of all images decides for both trainings.
    options = replace(options, epochs=options.num_epochs(len(labels)))
    grid = options.grid
    standardise, weights = train_classifiers(
        features, labels, train, num_classes, grid, options, device
    )
    scores = _score(features, labels, held_out, standardise, weights)
    best = select(*scores, grid)
    rows = torch.arange(len(labels))
    standardise, weights = train_classifiers(
        features, labels, rows, num_classes, [grid[best]], options, device
    )
    return ProbeSelection(
        probe=LinearProbe(standardise, weights),
        grid=grid,
        best=best,
        held_out_accuracies=scores[0].tolist(),
        num_held_out=len(held_out),
        epochs=options.epochs,
    )


def split_by_class(
    labels: Tensor, held_out: float, seed: int
) -> tuple[Tensor, Tensor]:
    """Return rows to train on and a share of each class, one or more."""
    rng = np.random.default_rng(seed)
    numbers = labels.numpy()
    chosen = []
    for label in np.unique(numbers):
        rows = rng.permutation(np.flatnonzero(numbers == label))
        share = max(1, round(held_out * len(rows)))
        chosen.append(rows[: min(share, len(rows) - 1)])
    rest = np.sort(np.concatenate(chosen))
    if not len(rest):
        raise ValueError(
            'labels must have a class with two images, one to train on and '
            'one to hold out. Give more images of each class.'
        )
    train = np.setdiff1d(np.arange(len(numbers)), rest)
    return torch.from_numpy(train), torch.from_numpy(rest)


def select(accuracies: Tensor, losses: Tensor, grid: Sequence[tuple]) -> int:
    """Return the index of the most accurate, of equals of the lowest loss.

    Accuracies and losses have shape (L,), NaN where a classifier diverged.
    """
    if accuracies.isnan().all():
        lowest = min(rate for rate, _ in grid)
        raise ValueError(
            f'learning_rates must not all diverge, got {len(grid)} from '
            f'{lowest:g}. Give lower ones or less weight decay.'
        )
    most = accuracies == accuracies.nan_to_num(-1).max()
    return int(losses.masked_fill(~most, float('inf')).argmin())


def _score(features, labels, rows, standardise, weights) -> tuple:
    """Return accuracies and mean cross-entropies on rows, (L,), float64."""
    right, loss = 0, 0
    for part, logits in logits_in_parts(features, rows, standardise, weights):
        targets = labels[part].to(logits.device)[:, None]
        right = right + (logits.argmax(-1) == targets).double().sum(0)
        targets = targets[..., None].expand(-1, logits.shape[1], 1)
        log_p = logits.double().log_softmax(-1).gather(-1, targets)
        loss = loss - log_p[..., 0].sum(0)
    diverged = ~torch.isfinite(weights).all(-1).all(0)
    accuracies = (right / len(rows)).masked_fill(diverged, float('nan'))
    return accuracies.cpu(), (loss / len(rows)).cpu()


def _num_classes(labels: Tensor, num_classes: int | None) -> int:
    largest = int(labels.max())
    if num_classes is None:
        num_classes = largest + 1
    if labels.min() < 0 or largest >= num_classes:
        raise ValueError(
            f'labels must lie in [0, num_classes={num_classes}), got '
            f'{int(labels.min())} to {largest}.'
        )
    if len(labels.unique()) < 2:
        raise ValueError(
            f'labels must have two classes or more, got {len(labels)} of '
            f'class {largest}.'
        )
    return num_classes
