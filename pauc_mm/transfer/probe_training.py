# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Many linear classifiers trained at once on the same features."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import threshold_

from pauc_mm.utils import progress

# Rows that are standardised or classified at once.
_CHUNK = 2048

# Smaller probabilities are 0. Those of a large learning rate fall below what
# float32 holds with all its digits, which makes a product 30 times as slow.
_NOTHING = 1e-20


class Standardiser:
    """Takes the mean from each feature and divides by its deviation.

    BatchNorm without affine parameters, as linear probes have it between the
    frozen network and the classifier (MAE, DINO), with the statistics of all
    training images in the place of those of a batch. A feature that is the
    same for all training images is left out (it becomes 0).

    Args:
        features (Tensor): Shape (N, C), float32 or float64.
        rows (Tensor): The training images among them, shape (n,), int64.
    """

    def __init__(self, features: Tensor, rows: Tensor) -> None:
        total = features.new_zeros(features.shape[1], dtype=torch.float64)
        for part in rows.split(_CHUNK):
            total += features[part].double().sum(0)
        mean = total / len(rows)
        squares = torch.zeros_like(total)
        for part in rows.split(_CHUNK):
            squares += (features[part].double() - mean).square().sum(0)
        deviation = (squares / len(rows)).sqrt()
        # What is left of a constant after rounding its mean.
        varies = deviation > 1e-6 * mean.abs()
        self.mean = mean.float()
        self.scale = torch.where(varies, 1 / deviation, 0.0).float()

    def to(self, device: torch.device) -> Standardiser:
        """Move the statistics, in place."""
        self.mean = self.mean.to(device)
        self.scale = self.scale.to(device)
        return self

    def __call__(self, features: Tensor) -> Tensor:
        """Standardise features of shape (n, C)."""
        return ((features - self.mean) * self.scale).float()


def train_classifiers(
    features: Tensor,
    labels: Tensor,
    rows: Tensor,
    standardise: Standardiser,
    num_classes: int,
    learning_rates: Sequence[float],
    weight_decays: Sequence[float],
    epochs: int,
    batch_size: int = 256,
    momentum: float = 0.9,
    seed: int = 0,
    device: torch.device | None = None,
) -> Tensor:
    """Softmax regression, once for each learning rate, on the same batches.

    SGD with momentum as torch's, from weights of zero, each learning rate
    falling to zero by a cosine over the steps; cross-entropy, weight decay
    not on the bias. The weights of all classifiers stand side by side in one
    matrix, so that a step is two matrix products, and a learning rate gets
    the weights that it would get alone.

    Args:
        features (Tensor): Shape (N, C).
        labels (Tensor): Shape (N,), int64, in [0, num_classes).
        rows (Tensor): The images to train on, shape (n,), int64.
        standardise (Standardiser): Applied to each batch.
        num_classes (int): K.
        learning_rates (sequence of float): L learning rates at the start.
        weight_decays (sequence of float): L weight decays.
        epochs (int): Passes over the rows.
        batch_size (int): Images a step. Defaults to 256.
        momentum (float): Defaults to 0.9.
        seed (int): Of the order of the images. Defaults to 0.
        device (torch.device, optional): Where to train. Defaults to where
            the features are.

    Returns:
        Tensor: Weights, shape (C + 1, L, K), float32; the last row is the
        bias. Of a classifier that diverged they are not finite.
    """
    device = device or features.device
    columns = len(learning_rates) * num_classes
    width = features.shape[1]
    weights = torch.zeros(width + 1, columns, device=device)
    velocity = torch.zeros_like(weights)
    rates = _by_column(learning_rates, num_classes, device)
    decays = _by_column(weight_decays, num_classes, device)
    decaying = bool(decays.any())
    inputs = torch.ones(batch_size, width + 1, device=device)
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * -(-len(rows) // batch_size)
    step = 0
    for _ in progress(range(epochs), 'Training linear classifiers'):
        order = rows[torch.randperm(len(rows), generator=generator)]
        for batch in order.split(batch_size):
            number = len(batch)
            x = inputs[:number]
            x[:, :width] = standardise(features[batch].to(device))
            logits = (x @ weights).view(number, -1, num_classes)
            error = loss_gradient(logits, labels[batch].to(device))
            velocity.addmm_(x.T, error.view(number, columns), beta=momentum)
            if decaying:
                velocity[:width].addcmul_(weights[:width], decays)
            cosine = (1 + math.cos(math.pi * step / steps)) / 2
            weights.addcmul_(velocity, rates, value=-cosine)
            step += 1
    return weights.view(width + 1, -1, num_classes)


def logits_in_parts(
    features: Tensor,
    rows: Tensor,
    standardise: Standardiser,
    weights: Tensor,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits of all classifiers, some rows at a time.

    Args:
        features (Tensor): Shape (N, C).
        rows (Tensor): Shape (n,), int64.
        standardise (Standardiser): On the weights' device.
        weights (Tensor): Shape (C + 1, L, K).

    Yields:
        tuple[Tensor, Tensor]: The rows, shape (m,), and their logits, shape
        (m, L, K), on the weights' device.
    """
    flat = weights.flatten(1)
    for part in rows.split(_CHUNK):
        x = standardise(features[part].to(weights.device))
        logits = torch.addmm(flat[-1], x, flat[:-1])
        yield part, logits.view(len(part), *weights.shape[1:])


def loss_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the mean cross-entropy of each classifier by its logits.

    Args:
        logits (Tensor): Shape (n, L, K).
        labels (Tensor): Shape (n,), int64.

    Returns:
        Tensor: (softmax - one-hot) / n, shape (n, L, K).
    """
    gradient = threshold_(logits.softmax(-1), _NOTHING, 0.0)
    own = labels[:, None, None].expand(-1, logits.shape[1], 1)
    ones = torch.ones_like(gradient[..., :1])
    return gradient.scatter_add_(2, own, -ones).div_(len(logits))


def _by_column(
    values: Sequence[float], num_classes: int, device: torch.device
) -> Tensor:
    values = torch.tensor(list(values), dtype=torch.float32, device=device)
    return values.repeat_interleave(num_classes)
