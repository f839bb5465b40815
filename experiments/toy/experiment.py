# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Train a registered model on blobs, and measure it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.optim import OptimWrapper
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.clustering import FaissKMeans
from pauc_mm.engine.hooks import ClusteringHook
from pauc_mm.evaluation.functional import (
    intra_group_variance,
    knn_predict,
    nemd,
    uniformity,
    void_fraction,
)
from pauc_mm.models import embed_images
from pauc_mm.utils import Shard, derive_seed

from .blobs import Blobs, draw_batches, draw_views, sample_blobs
from .methods import METHODS
from .settings import Settings

NEIGHBOURS = 20
# Uniformity takes quadratic time; at this size its error is below 0.01.
_UNIFORMITY_SAMPLES = 3000
# All pairs: their distances differ far more than draws of members do.
_NEMD = dict(num_pairs=None, num_members=32)


@dataclass
class LoopState:
    """The attributes of a Runner that the clustering hook reads.

    The rounds are a loop of our own: mmengine's takes longer over a batch of
    single points than the step itself.
    """

    model: nn.Module
    seed: int
    max_epochs: int
    optim_wrapper: OptimWrapper
    train_dataloader: SimpleNamespace
    epoch: int = 0
    logger: logging.Logger = logging.getLogger(__name__)


class PointClusteringHook(ClusteringHook):
    """Clustering hook that embeds all points at once.

    A dataloader would take longer over single points than the rest of the
    experiment. All else of the E-step is the parent's.

    Args:
        points (Tensor): Training points, shape (N, 3), float32.
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

    def _embed(self, runner: LoopState, epoch: int) -> Shard:
        points = embed_images(runner.model, self.points, momentum=True)[1]
        return Shard.of(points)


def build_model(
    method: str, classes: int, seed: int, settings: Settings
) -> nn.Module:
    """Build the registered model of a run, with its initial weights."""
    # No init_weights(): the layers keep torch's, and it would print a page.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, classes, 1))
        model = MODELS.build(METHODS[method].config(classes, settings))
    return model.train()


def train(
    method: str, seed: int, settings: Settings, blobs: Blobs
) -> nn.Module:
    """Train with the model's own ``train_step`` and the hook's own E-step.

    Args:
        method (str): Key of :data:`METHODS`.
        seed (int): Seed of weights, order and noise.
        settings (Settings): Sizes and schedule.
        blobs (Blobs): The data.

    Returns:
        nn.Module: The trained model.

    Raises:
        FloatingPointError: If the loss is not finite.
    """
    model = build_model(method, len(blobs.centres), seed, settings)
    optimizer = OptimWrapper(
        torch.optim.Adam(
            (p for p in model.parameters() if p.requires_grad), lr=settings.lr
        )
    )
    hook = None
    if METHODS[method].clustered:
        hook = PointClusteringHook(blobs.points, settings)
    loop = LoopState(
        model=model,
        seed=seed,
        max_epochs=settings.rounds,
        optim_wrapper=optimizer,
        train_dataloader=SimpleNamespace(batch_size=settings.batch_size),
    )
    order = torch.Generator().manual_seed(derive_seed(seed, 2))
    noise = torch.Generator().manual_seed(derive_seed(seed, 3))
    batches = draw_batches(len(blobs.points), settings.batch_size, order)
    samples = [SimpleNamespace(sample_idx=i) for i in range(len(blobs.points))]
    for loop.epoch in range(settings.rounds):
        if hook is not None:
            hook.before_train_epoch(loop)
        for _ in range(settings.steps):
            indices = next(batches)
            data = dict(
                inputs=draw_views(
                    blobs.points[indices], settings.noise, noise
                ),
                data_samples=[samples[i] for i in indices.tolist()],
            )
            logged = model.train_step(data, optimizer)
        if hook is not None:
            hook.after_train_epoch(loop)
        if not torch.isfinite(logged['loss']):
            losses = {k: v.item() for k, v in logged.items()}
            raise FloatingPointError(
                f'The loss is not finite after round {loop.epoch + 1} of '
                f'{settings.rounds}: {losses}. Lower lr={settings.lr} or the '
                'weights of the method.'
            )
    return model.eval()


def measure(model: nn.Module, blobs: Blobs) -> tuple[dict, np.ndarray]:
    """Measure the embeddings that the query encoder gives to clean points.

    Clusters are found by k-means on these embeddings with K = C, for all
    methods alike, whether they have prototypes or not.

    Args:
        model (nn.Module): Trained, in eval mode.
        blobs (Blobs): The data.

    Returns:
        tuple[dict, np.ndarray]: The metrics by name, floats, and the
        embeddings as angles in radians, shape (N,), float32. Metrics of
        clusters are None if all embeddings are in one cluster.
    """
    embeddings = embed_images(model, blobs.points)[1]
    held_out = embed_images(model, blobs.held_out_points)[1]
    classes = len(blobs.centres)
    clusters = FaissKMeans(max_points_per_centroid=64, device='cpu').fit(
        embeddings.numpy(), classes, seed=0
    )
    groups = torch.from_numpy(clusters.assignments)
    several = len(clusters.centroids) > 1
    predicted = knn_predict(
        held_out, embeddings, blobs.labels, classes, k=NEIGHBOURS
    )[NEIGHBOURS]
    hits = predicted == blobs.held_out_labels
    metrics = dict(
        nemd_classes=nemd(embeddings, blobs.labels, **_NEMD).value,
        nemd_clusters=(
            nemd(embeddings, groups, **_NEMD).value if several else None
        ),
        uniformity=uniformity(embeddings, max_samples=_UNIFORMITY_SAMPLES),
        variance_classes=intra_group_variance(embeddings, blobs.labels),
        variance_clusters=(
            intra_group_variance(embeddings, groups) if several else None
        ),
        void=void_fraction(embeddings),
        knn=hits.float().mean().item(),
    )
    angles = torch.atan2(embeddings[:, 1], embeddings[:, 0])
    return metrics, angles.numpy()


def perform(
    method: str, classes: int, seed: int, settings: Settings
) -> tuple[dict, np.ndarray]:
    """Train and measure, on one thread, so that any machine does the same.

    Args:
        method (str): Key of :data:`METHODS`.
        classes (int): C.
        seed (int): Seed of data, weights and order. Runs of one seed and C
            have these in common, so that methods can be compared in pairs.
        settings (Settings): Sizes and schedule.

    Returns:
        tuple[dict, np.ndarray]: Metrics and angles, see :func:`measure`.

    Raises:
        FloatingPointError: If training diverged.
    """
    with _alone(derive_seed(seed, classes, 4)):
        blobs = sample_blobs(classes, seed, settings)
        model = train(method, seed, settings, blobs)
        return measure(model, blobs)


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Set one thread and seed the generator; restore both afterwards.

    mmpretrain's MoCo shuffles its keys by torch's global generator.
    """
    import faiss

    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before[0])
        faiss.omp_set_num_threads(before[1])
