# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Train many linear classifiers at once on the same features."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import threshold_

from pauc_mm.utils import progress
from pauc_mm.utils.checks import check_integer, check_positive

# Wide enough for standardised features of any width.
LEARNING_RATES = tuple(float(x) for x in np.logspace(-4, 1, 20))
"""20 rates from 1e-4 to 10, evenly spaced in the logarithm."""

# Rows that are standardised or classified at once.
_CHUNK = 2048

# Smaller probabilities are set to 0: large learning rates make denormal
# numbers of float32, with which a matrix product takes 30 times as long.
_MIN_PROBABILITY = 1e-20


@dataclass(frozen=True)
class ProbeOptions:
    """Hyper-parameters of a linear probe.

    Attributes:
        learning_rates (sequence of float): Rates to choose from.
        weight_decays (sequence of float): Combined with each rate.
        held_out (float): Share of each class that is held out to choose by,
            at least one image of each class that has two.
        epochs (int, optional): Defaults to 10, or 2,000 steps if more.
        batch_size (int): Images a step.
        momentum (float): Momentum of SGD.
        seed (int): Seed of the split and of the order of the images.

    Raises:
        ValueError: If an option is out of range.
    """

    learning_rates: Sequence[float] = LEARNING_RATES
    weight_decays: Sequence[float] = (0.0,)
    held_out: float = 0.1
    epochs: int | None = None
    batch_size: int = 256
    momentum: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ('learning_rates', 'weight_decays'):
            if not len(getattr(self, key)):
                raise ValueError(f'{key} must not be empty.')
            for value in getattr(self, key):
                check_positive(key, value, zero=key == 'weight_decays')
        if self.epochs is not None:
            check_integer('epochs', self.epochs, 1)
        check_integer('batch_size', self.batch_size, 1)
        for key, open_at_zero in (('held_out', True), ('momentum', False)):
            value = getattr(self, key)
            if not (0 <= value < 1) or (open_at_zero and not value):
                raise ValueError(f'{key} must be a share < 1, got {value!r}.')

    @property
    def grid(self) -> list[tuple[float, float]]:
        """All pairs (learning rate, weight decay)."""
        pairs = itertools.product(self.weight_decays, self.learning_rates)
        return [(rate, decay) for decay, rate in pairs]

    def num_epochs(self, images: int) -> int:
        """Return the epochs for so many training images."""
        if self.epochs is not None:
            return self.epochs
        steps_an_epoch = -(-images // self.batch_size)
        return max(10, -(-2000 // steps_an_epoch))


class Standardiser:
    """Subtract the mean of each feature and divide by its deviation.

    BatchNorm without affine parameters between network and classifier, as in
    linear probes of MAE and DINO, but with statistics of all training images
    instead of a batch, the ``rows`` of features (N, C). A feature that is
    constant in training becomes 0.
    """

    def __init__(self, features: Tensor, rows: Tensor, device='cpu') -> None:
        total = features.new_zeros(features.shape[1], dtype=torch.float64)
        for part in rows.split(_CHUNK):
            total += features[part].double().sum(0)
        mean = total / len(rows)
        squares = torch.zeros_like(total)
        for part in rows.split(_CHUNK):
            squares += (features[part].double() - mean).square().sum(0)
        deviation = (squares / len(rows)).sqrt()
        # A constant leaves a deviation as large as the rounding of its mean.
        varies = deviation > 1e-6 * mean.abs()
        self.mean = mean.float().to(device)
        scale = torch.where(varies, 1 / deviation, 0.0)
        self.scale = scale.float().to(device)

    def __call__(self, features: Tensor) -> Tensor:
        """Standardise features of shape (n, C)."""
        return ((features - self.mean) * self.scale).float()


def train_classifiers(
    features: Tensor,
    labels: Tensor,
    rows: Tensor,
    num_classes: int,
    grid: Sequence[tuple[float, float]],
    options: ProbeOptions,
    device: torch.device | None = None,
) -> tuple[Standardiser, Tensor]:
    """Train one softmax regression for each pair of the grid at once.

    All see the same batches. SGD with momentum, as torch's, starts from zero
    weights; learning rates fall to zero by a cosine; the loss is the
    cross-entropy, and the bias has no weight decay. The weights of all
    classifiers form one matrix: a step is two matrix products, and each
    classifier gets the weights that it would get alone.

    Features have the shape (N, C), labels (N,) lie in [0, K), ``rows`` are
    the indices of the training images, (n,), and ``grid`` has L pairs
    (learning rate, weight decay). The device is by default the features'.

    Returns:
        tuple[Standardiser, Tensor]: Weights have shape (C + 1, L, K), float32,
        the last row being the bias; not finite where a classifier diverged.
    """
    device = torch.device(device or features.device)
    standardise = Standardiser(features, rows, device)
    width, columns = features.shape[1], len(grid) * num_classes
    weights = torch.zeros(width + 1, columns, device=device)
    velocity = torch.zeros_like(weights)
    pairs = torch.tensor(grid, dtype=torch.float32, device=device)
    rates, decays = pairs.T.repeat_interleave(num_classes, 1)
    decaying = bool(decays.any())
    inputs = torch.ones(options.batch_size, width + 1, device=device)
    generator = torch.Generator().manual_seed(options.seed)
    epochs = options.num_epochs(len(rows))
    steps = epochs * -(-len(rows) // options.batch_size)
    step = 0
    for _ in progress(range(epochs), 'Training linear classifiers'):
        order = rows[torch.randperm(len(rows), generator=generator)]
        for batch in order.split(options.batch_size):
            number = len(batch)
            x = inputs[:number]
            x[:, :width] = standardise(features[batch].to(device))
            logits = (x @ weights).view(number, -1, num_classes)
            error = loss_gradient(logits, labels[batch].to(device))
            error = error.view(number, columns)
            velocity.addmm_(x.T, error, beta=options.momentum)
            if decaying:
                velocity[:width].addcmul_(weights[:width], decays)
            cosine = (1 + math.cos(math.pi * step / steps)) / 2
            weights.addcmul_(velocity, rates, value=-cosine)
            step += 1
    return standardise, weights.view(width + 1, -1, num_classes)


def logits_in_parts(
    features: Tensor, rows: Tensor, standardise: Standardiser, weights: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield some rows (m,) and the logits (m, L, K) of all classifiers.

    They are on the device of the weights, (C + 1, L, K), and `standardise`.
    """
    flat = weights.flatten(1)
    for part in rows.split(_CHUNK):
        x = standardise(features[part].to(weights.device))
        logits = torch.addmm(flat[-1], x, flat[:-1])
        yield part, logits.view(len(part), *weights.shape[1:])


def loss_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the gradient of each classifier's mean cross-entropy by logits.

    It is (softmax - one-hot) / n, for logits (n, L, K) and labels (n,).
    """
    gradient = threshold_(logits.softmax(-1), _MIN_PROBABILITY, 0.0)
    targets = labels[:, None, None].expand(-1, logits.shape[1], 1)
    ones = torch.ones_like(gradient[..., :1])
    return gradient.scatter_add_(2, targets, -ones).div_(len(logits))
