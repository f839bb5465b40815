# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Data of the toy experiment: Gaussian blobs, and two views of points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from pauc_mm.utils import derive_seed

from .settings import Settings


@dataclass(frozen=True)
class Blobs:
    """Points of C isotropic Gaussian classes in three dimensions.

    Attributes:
        points (Tensor): Training points, shape (C * samples, 3), float32,
            class after class.
        labels (Tensor): Their classes, shape (C * samples,), int64.
        held_out_points (Tensor): Fresh points of the same classes, shape
            (C * held_out, 3), float32.
        held_out_labels (Tensor): Their classes, int64.
        centres (Tensor): Means of the classes, shape (C, 3), float32.
    """

    points: torch.Tensor
    labels: torch.Tensor
    held_out_points: torch.Tensor
    held_out_labels: torch.Tensor
    centres: torch.Tensor


def sample_blobs(classes: int, seed: int, settings: Settings) -> Blobs:
    """Draw blobs with scikit-learn.

    The centres are uniform in [-1, 1]^3: scikit-learn's default blobs, of
    deviation 1 in a box of 20, are ten times as large.

    Args:
        classes (int): C, at least 2.
        seed (int): Seed of all draws.
        settings (Settings): Numbers of points and deviation of a class.

    Returns:
        Blobs: The same for the same arguments.
    """
    from sklearn.datasets import make_blobs

    each = settings.samples + settings.held_out
    points, labels, centres = make_blobs(
        n_samples=[each] * classes,
        n_features=3,
        center_box=(-1, 1),
        cluster_std=settings.spread,
        shuffle=False,
        random_state=derive_seed(seed, classes),
        return_centers=True,
    )
    points = torch.from_numpy(points).float().view(classes, each, 3)
    labels = torch.from_numpy(labels).long().view(classes, each)
    cut = settings.samples
    return Blobs(
        points=points[:, :cut].flatten(0, 1),
        labels=labels[:, :cut].flatten(),
        held_out_points=points[:, cut:].flatten(0, 1),
        held_out_labels=labels[:, cut:].flatten(),
        centres=torch.from_numpy(centres).float(),
    )


def draw_views(
    points: torch.Tensor, noise: float, generator: torch.Generator
) -> list[torch.Tensor]:
    """Return two views of each point, moved by Gaussian noise.

    Args:
        points (Tensor): Shape (N, D), float.
        noise (float): Deviation of the noise in each dimension.
        generator (torch.Generator): Draws the noise.

    Returns:
        list[Tensor]: The query and the key view, each (N, D).
    """
    drawn = torch.randn((2, *points.shape), generator=generator)
    return list(torch.add(points, drawn, alpha=noise))


def draw_batches(
    num_points: int, batch_size: int, generator: torch.Generator
) -> Iterator[torch.Tensor]:
    """Yield the indices of one batch after another, without end.

    Each pass over the points is reshuffled; its last incomplete batch is
    dropped.
    """
    while True:
        order = torch.randperm(num_points, generator=generator)
        whole = num_points // batch_size * batch_size
        yield from order[:whole].split(batch_size)
