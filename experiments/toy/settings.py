# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Settings that the runs of the toy experiment have in common."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pauc_mm.utils.checks import check_integer, check_positive

# The least that void_fraction accepts for its 100 arcs.
_LEAST_POINTS = 1000


@dataclass(frozen=True)
class Settings:
    """Sizes, schedule and noise of a run; the same for all methods.

    Attributes:
        samples (int): Training points of a class.
        held_out (int): Further points of a class, classified by kNN.
        spread (float): Deviation of a class; its centre lies in [-1, 1]^3.
        noise (float): Deviation of the noise that makes a view of a point.
        rounds (int): Rounds of training, the epochs of the real thing.
        warmup_rounds (int): Rounds of InfoNCE alone, the first of them.
        steps (int): Steps of a round. Each round begins with an E-step.
        batch_size (int): Points a step.
        queue_len (int): Keys in the queue; a multiple of ``batch_size``.
        width (int): Units of each of the two hidden layers.
        lr (float): Learning rate of Adam.
        momentum (float): Step of the momentum encoder; 0.01 is m = 0.99.
        temperature (float): tau of InfoNCE, and mean of phi.
        kmeans_iterations (int): Lloyd iterations of a clustering.
        kmeans_points (int): Most points per centroid for them.

    Raises:
        ValueError: If a number is out of its range, or two do not fit.
    """

    samples: int = 1000
    held_out: int = 50
    spread: float = 0.1
    noise: float = 0.05
    rounds: int = 15
    warmup_rounds: int = 4
    steps: int = 40
    batch_size: int = 256
    queue_len: int = 1024
    width: int = 64
    lr: float = 3e-3
    momentum: float = 0.01
    temperature: float = 0.1
    kmeans_iterations: int = 10
    kmeans_points: int = 64

    def __post_init__(self) -> None:
        for field in fields(self):
            key, value = f'settings.{field.name}', getattr(self, field.name)
            if isinstance(field.default, int):
                check_integer(key, value, int(field.name != 'warmup_rounds'))
            else:
                check_positive(key, value)
        if self.warmup_rounds >= self.rounds:
            raise ValueError(
                f'warmup_rounds={self.warmup_rounds} leaves none of '
                f'rounds={self.rounds} to the prototypes: raise rounds (a '
                'quarter of the default ones is warm-up) or lower it.'
            )
        if self.queue_len % self.batch_size:
            raise ValueError(
                f'queue_len={self.queue_len} must be a multiple of '
                f"batch_size={self.batch_size}, as mmpretrain's MoCo demands."
            )

    def check_classes(self, classes: int) -> None:
        """Refuse a number of classes that these sizes cannot serve.

        Raises:
            ValueError: If there are fewer than two classes, or fewer points
                than a batch, the clusters of the finest clustering, or the
                void fraction need.
        """
        check_integer('--classes', classes, 2, 'NEMD compares classes.')
        points = classes * self.samples
        least = max(self.batch_size, _LEAST_POINTS)
        if points < least or self.samples < 4:
            raise ValueError(
                f'samples={self.samples} of each of {classes} classes are '
                f'{points} points, but a batch holds {self.batch_size}, the '
                'finest clustering has 4 clusters a class, and the void '
                f'fraction needs {_LEAST_POINTS} points: give at least '
                f'{max(4, -(-least // classes))} samples.'
            )
