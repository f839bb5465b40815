# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""One run of the toy experiment: train a registered model, measure it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.optim import OptimWrapper
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.clustering import FaissKMeans
from pauc_mm.evaluation.functional import (
    intra_group_variance,
    knn_predict,
    nemd,
    uniformity,
    void_fraction,
)
from pauc_mm.models import embed_images
from pauc_mm.utils import derive_seed

from .blobs import Blobs, draw_batches, draw_views, sample_blobs
from .methods import METHODS, check_methods
from .point_clustering_hook import PointClusteringHook
from .settings import Settings

NEIGHBOURS = 20
# Uniformity is quadratic in the samples; on so many its error is below 0.01.
_UNIFORMITY_SAMPLES = 3000
# Of pairs, all: their distances differ far more than draws of members do.
_NEMD = dict(num_pairs=None, num_members=32)


@dataclass(frozen=True)
class Run:
    """What tells one run from another.

    Attributes:
        method (str): Key of :data:`METHODS`.
        classes (int): C.
        seed (int): Seed of data, weights and order. Runs of one seed and C
            have these in common, so that methods can be compared in pairs.
    """

    method: str
    classes: int
    seed: int

    def __str__(self) -> str:
        label = METHODS[self.method].label
        return f'{label}, {self.classes} classes, seed {self.seed}'


def check_run(run: Run, settings: Settings) -> None:
    """Refuse a run that cannot be made.

    Raises:
        ValueError: If the method is unknown, the seed negative, or the number
            of classes does not fit the sizes.
    """
    check_methods([run.method])
    settings.check_classes(run.classes)
    if not isinstance(run.seed, int) or run.seed < 0:
        raise ValueError(f'seeds must be integers >= 0, not {run.seed!r}.')


def describe(run: Run, settings: Settings) -> dict:
    """All that the result of a run depends on, as plain data for JSON."""
    config = METHODS[run.method].config(run.classes, settings)
    return dict(settings=asdict(settings), model=config)


def build_model(run: Run, settings: Settings) -> nn.Module:
    """The registered model of a run, with the weights it starts from.

    Args:
        run (Run): Method, classes and seed.
        settings (Settings): Sizes.

    Returns:
        nn.Module: In training mode. The global generator is not touched.
    """
    # No init_weights(): the layers keep torch's, and it would print a page.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(run.seed, run.classes, 1))
        model = MODELS.build(METHODS[run.method].config(run.classes, settings))
    return model.train()


def train(run: Run, settings: Settings, blobs: Blobs) -> nn.Module:
    """Train by the model's own ``train_step`` and the hook's own E-step.

    Args:
        run (Run): Method, classes and seed.
        settings (Settings): Sizes and schedule.
        blobs (Blobs): The data.

    Returns:
        nn.Module: The trained model.

    Raises:
        RuntimeError: If the loss is not finite.
    """
    model = build_model(run, settings)
    optimizer = OptimWrapper(
        torch.optim.Adam(
            (p for p in model.parameters() if p.requires_grad), lr=settings.lr
        )
    )
    hook = None
    if METHODS[run.method].clustered:
        hook = PointClusteringHook(blobs.points, settings)
    # What the hook reads of a runner.
    runner = SimpleNamespace(
        model=model,
        seed=run.seed,
        epoch=0,
        max_epochs=settings.rounds,
        logger=logging.getLogger(__name__),
        optim_wrapper=optimizer,
        train_dataloader=SimpleNamespace(batch_size=settings.batch_size),
    )
    order = torch.Generator().manual_seed(derive_seed(run.seed, 2))
    noise = torch.Generator().manual_seed(derive_seed(run.seed, 3))
    batches = draw_batches(len(blobs.points), settings.batch_size, order)
    samples = [SimpleNamespace(sample_idx=i) for i in range(len(blobs.points))]
    for runner.epoch in range(settings.rounds):
        if hook is not None:
            hook.before_train_epoch(runner)
        for _ in range(settings.steps):
            places = next(batches)
            data = dict(
                inputs=draw_views(blobs.points[places], settings.noise, noise),
                data_samples=[samples[i] for i in places.tolist()],
            )
            logged = model.train_step(data, optimizer)
        if hook is not None:
            hook.after_train_epoch(runner)
        if not torch.isfinite(logged['loss']):
            losses = {k: v.item() for k, v in logged.items()}
            raise RuntimeError(
                f'The loss is not finite after round {runner.epoch + 1} of '
                f'{settings.rounds}: {losses}. Lower lr={settings.lr} or the '
                'weights of the method.'
            )
    return model.eval()


def measure(model: nn.Module, blobs: Blobs) -> tuple[dict, np.ndarray]:
    """Measure the embeddings that the query encoder gives to clean points.

    Clusters are those of a k-means of these embeddings with K = C, the same
    for all methods, whether they have prototypes or not.

    Args:
        model (nn.Module): Trained, in eval mode.
        blobs (Blobs): The data.

    Returns:
        tuple[dict, np.ndarray]: The measures by name, floats, and the
        embeddings as angles in radians, shape (N,), float32. Measures of
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
    measures = dict(
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
    return measures, angles.numpy()


def perform(run: Run, settings: Settings) -> tuple[dict, np.ndarray]:
    """Train and measure, on one thread, so that any machine does the same.

    Args:
        run (Run): Method, classes and seed.
        settings (Settings): Sizes and schedule.

    Returns:
        tuple[dict, np.ndarray]: The record of the run, plain data, and the
        angles of its embeddings, see :func:`measure`.

    Raises:
        ValueError: See :func:`check_run`.
        RuntimeError: If training diverged.
    """
    check_run(run, settings)
    with _alone(derive_seed(run.seed, run.classes, 4)):
        start, busy = time.perf_counter(), time.process_time()
        blobs = sample_blobs(run.classes, run.seed, settings)
        model = train(run, settings, blobs)
        trained = time.perf_counter()
        measures, angles = measure(model, blobs)
    seconds = dict(
        train=round(trained - start, 2),
        measure=round(time.perf_counter() - trained, 2),
        cpu=round(time.process_time() - busy, 2),
    )
    record = dict(
        **asdict(run),
        measures=measures,
        seconds=seconds,
        **describe(run, settings),
    )
    return record, angles


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """One thread and a seeded generator; afterwards all is as it was.

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
