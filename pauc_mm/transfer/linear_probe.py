# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pauc_mm.evaluation.functional.checks import (
    ArrayLike,
    as_groups,
    as_matrix,
)
from pauc_mm.utils.checks import check_positive

from .probe_training import (
    Standardiser,
    logits_in_parts,
    train_classifiers,
)

# Wide enough for features of any width once they are standardised.
LEARNING_RATES = tuple(float(x) for x in np.logspace(-4, 1, 20))
"""20 rates from 1e-4 to 10, evenly in the logarithm."""

MIN_EPOCHS = 10
MIN_STEPS = 2000


@dataclass
class LinearProbe:
    """A linear classifier of frozen features, and how it was chosen.

    Attributes:
        weights (Tensor): Shape (C + 1, 1, K), float32; the last row is the
            bias.
        standardise (Standardiser): What comes before it.
        learning_rate (float): The one that was chosen.
        weight_decay (float): The one that was chosen.
        learning_rates (list[float]): Of each of the L classifiers.
        weight_decays (list[float]): Of each of the L classifiers.
        held_out_accuracies (list[float]): Of each of them on the held-out
            images; NaN where it diverged.
        num_held_out (int): Number of those images.
        epochs (int): Passes over the training images.
    """

    weights: Tensor
    standardise: Standardiser
    learning_rate: float
    weight_decay: float
    learning_rates: list[float]
    weight_decays: list[float]
    held_out_accuracies: list[float]
    num_held_out: int
    epochs: int

    @property
    def at_an_end(self) -> bool:
        """Whether a lower or higher rate than those tried may be better."""
        ends = min(self.learning_rates), max(self.learning_rates)
        return len(set(self.learning_rates)) > 1 and self.learning_rate in ends

    def logits(self, features: ArrayLike) -> Tensor:
        """Class scores.

        Args:
            features (Tensor or ndarray): Shape (N, C), not standardised.

        Returns:
            Tensor: Shape (N, K), float32, on the CPU.

        Raises:
            ValueError: If features are not finite or of another width.
        """
        features = as_matrix(features, 'features')
        width = len(self.weights) - 1
        if features.shape[1] != width:
            raise ValueError(
                f'The probe was trained on {width} features, these have '
                f'{features.shape[1]}.'
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
        """Shares of images whose class is among the k with most score.

        Args:
            features (Tensor or ndarray): Shape (N, C).
            labels (Tensor or ndarray): Shape (N,), integers.
            top (sequence of int): Values of k; those that are not smaller
                than the number of classes are left out.

        Returns:
            dict[int, float]: By k.
        """
        logits = self.logits(features)
        labels = as_groups(labels, len(logits), 'labels')
        top = [k for k in top if k < logits.shape[1]]
        best = logits.topk(max(top)).indices == labels[:, None]
        return {k: best[:, :k].any(1).double().mean().item() for k in top}


def fit_linear_probe(
    features: ArrayLike,
    labels: ArrayLike,
    num_classes: int | None = None,
    learning_rates: Sequence[float] = LEARNING_RATES,
    weight_decays: Sequence[float] = (0.0,),
    held_out: float = 0.1,
    epochs: int | None = None,
    batch_size: int = 256,
    momentum: float = 0.9,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> LinearProbe:
    """Train a linear classifier on cached features.

    All learning rates (times all weight decays) are trained at once, see
    :func:`~.probe_training.train_classifiers`, on the training images less a
    held-out share of each class. The one that is right on most held-out
    images, the lower cross-entropy deciding between equals, is trained again
    on all of them. Features are standardised, see
    :class:`~.probe_training.Standardiser`, and not augmented: the accuracy
    is not that of the papers' 100 epochs on random crops, but ranks the same
    encoders for a thousandth of the time.

    Args:
        features (Tensor or ndarray): Of the training images, shape (N, C).
        labels (Tensor or ndarray): Shape (N,), integers in
            [0, num_classes).
        num_classes (int, optional): Defaults to the largest label plus 1.
        learning_rates (sequence of float): Defaults to 20 between 1e-4
            and 10.
        weight_decays (sequence of float): Defaults to 0 alone.
        held_out (float): Share of each class that is held out to choose by,
            at least one image of each class that has two. Defaults to 0.1.
        epochs (int, optional): Defaults to 10, and more where that is less
            than 2,000 steps.
        batch_size (int): Images a step. Defaults to 256.
        momentum (float): Of SGD. Defaults to 0.9.
        seed (int): Of the split and the order of the images. Defaults to 0.
        device (str or torch.device, optional): Where to train; the features
            stay where they are. Defaults to there.

    Returns:
        LinearProbe: The classifier and the accuracies of all rates.

    Raises:
        ValueError: If there are fewer than two classes or no class with two
            images, a feature is not finite, an argument is out of range, or
            every classifier diverged.
        TypeError: If labels are not integers.
    """
    features = as_matrix(features, 'features')
    labels = as_groups(labels, len(features), 'labels')
    num_classes = _num_classes(labels, num_classes)
    grid = [(lr, wd) for wd in weight_decays for lr in learning_rates]
    check_grid(grid, held_out, epochs, batch_size, momentum)
    device = torch.device(device or features.device)
    train, rest = split_by_class(labels, held_out, seed)
    if epochs is None:
        epochs = default_epochs(len(labels), batch_size)
    options = dict(
        num_classes=num_classes,
        epochs=epochs,
        batch_size=batch_size,
        momentum=momentum,
        seed=seed,
        device=device,
    )

    def fit(rows: Tensor, pairs: Sequence[tuple]) -> tuple:
        standardise = Standardiser(features, rows).to(device)
        rates, decays = zip(*pairs)
        weights = train_classifiers(
            features,
            labels,
            rows,
            standardise,
            learning_rates=rates,
            weight_decays=decays,
            **options,
        )
        return standardise, weights

    standardise, weights = fit(train, grid)
    accuracies, losses = _score(features, labels, rest, standardise, weights)
    best = choose(accuracies, losses, grid)
    everything = torch.arange(len(labels))
    standardise, weights = fit(everything, [grid[best]])
    return LinearProbe(
        weights=weights,
        standardise=standardise,
        learning_rate=grid[best][0],
        weight_decay=grid[best][1],
        learning_rates=[lr for lr, _ in grid],
        weight_decays=[wd for _, wd in grid],
        held_out_accuracies=accuracies.tolist(),
        num_held_out=len(rest),
        epochs=epochs,
    )


def default_epochs(images: int, batch_size: int) -> int:
    """Epochs of :data:`MIN_STEPS` steps, but at least :data:`MIN_EPOCHS`."""
    per_epoch = -(-images // batch_size)
    return max(MIN_EPOCHS, -(-MIN_STEPS // per_epoch))


def split_by_class(
    labels: Tensor, held_out: float, seed: int
) -> tuple[Tensor, Tensor]:
    """Hold out a share of the images of each class.

    Args:
        labels (Tensor): Shape (N,), int64.
        held_out (float): The share, rounded, but at least one image of each
            class that has two.
        seed (int): Of the draw.

    Returns:
        tuple[Tensor, Tensor]: Rows to train on and rows held out, ascending.

    Raises:
        ValueError: If no class has two images.
    """
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
            'No class has two images, so that none can be held out to '
            'choose the learning rate by: give more images of each.'
        )
    train = np.setdiff1d(np.arange(len(numbers)), rest)
    return torch.from_numpy(train), torch.from_numpy(rest)


def choose(accuracies: Tensor, losses: Tensor, grid: Sequence[tuple]) -> int:
    """The most accurate; of equals the one with the lowest loss.

    Args:
        accuracies (Tensor): Shape (L,), NaN where a classifier diverged.
        losses (Tensor): Shape (L,).
        grid (sequence of tuple): Learning rate and weight decay of each, for
            the message.

    Returns:
        int: Its number.

    Raises:
        ValueError: If all diverged.
    """
    if accuracies.isnan().all():
        lowest = min(lr for lr, _ in grid)
        raise ValueError(
            f'All {len(grid)} linear classifiers diverged, the lowest '
            f'learning rate was {lowest:g}: give lower ones or less weight '
            'decay.'
        )
    most = accuracies == accuracies.nan_to_num(-1).max()
    return int(losses.masked_fill(~most, float('inf')).argmin())


def _score(features, labels, rows, standardise, weights) -> tuple:
    """Accuracies and mean cross-entropies on rows, shapes (L,), float64."""
    right, loss = 0, 0
    for part, logits in logits_in_parts(features, rows, standardise, weights):
        own = labels[part].to(logits.device)[:, None]
        right = right + (logits.argmax(-1) == own).double().sum(0)
        own = own[..., None].expand(-1, logits.shape[1], 1)
        chosen = logits.double().log_softmax(-1).gather(-1, own)
        loss = loss - chosen[..., 0].sum(0)
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
            f'A linear probe needs images of two classes or more, and all '
            f'{len(labels)} are of class {largest}.'
        )
    return num_classes


def check_grid(
    grid: Sequence[tuple[float, float]],
    held_out: float,
    epochs: int | None,
    batch_size: int,
    momentum: float = 0.9,
) -> None:
    """Refuse what does not depend on the features.

    Raises:
        ValueError: Which argument, and what it may be.
    """
    if not grid:
        raise ValueError('learning_rates and weight_decays must not be empty.')
    for lr, wd in grid:
        check_positive('learning_rates', lr)
        check_positive('weight_decays', wd, zero=True)
    for name, value in (('epochs', epochs), ('batch_size', batch_size)):
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ValueError(f'{name} must be an integer >= 1, not {value!r}.')
    for name, value in (('held_out', held_out), ('momentum', momentum)):
        least_ok = value > 0 if name == 'held_out' else value >= 0
        if not (least_ok and value < 1):
            raise ValueError(f'{name} must be a share below 1, not {value!r}.')
