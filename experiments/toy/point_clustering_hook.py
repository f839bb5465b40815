# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from types import SimpleNamespace

import torch

from pauc_mm.engine.hooks import ClusteringHook
from pauc_mm.models import embed_images

from .settings import Settings


class PointClusteringHook(ClusteringHook):
    """The clustering hook, which embeds all points at once.

    When an E-step is due and all that is done with the embeddings are its
    parent's. A dataloader would take longer over single points than the rest
    of the experiment.

    Args:
        points (Tensor): What is trained on, shape (N, 3), float32.
        settings (Settings): Rounds of warm-up, and of k-means.
    """

    def __init__(self, points: torch.Tensor, settings: Settings) -> None:
        super().__init__(
            pipeline=[],
            warmup_epochs=settings.warmup_rounds,
            kmeans=dict(
                type='FaissKMeans',
                niter=settings.kmeans_iterations,
                nredo=1,
                max_points_per_centroid=settings.kmeans_points,
                device='cpu',
            ),
        )
        self.points = points

    def _embed(self, runner: SimpleNamespace, epoch: int) -> torch.Tensor:
        return embed_images(runner.model, self.points, momentum=True)[1]
