# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Speeds to plan with: measured here in about a second, or published."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from pauc_mm.models.embed import encode
from pauc_mm.utils.require import require


class Speeds(NamedTuple):
    """Operations a second of a process, images a second of a core."""

    network: float  # in training
    embedding: float  # the network in the E-step
    kmeans: float
    loading: float  # with augmentation
    loading_whole: float  # in the E-step
    cores: int | None  # for loading; None: one for each worker


_IMAGE = 3 * 8.18e9  # operations of ResNet-50 at 224 pixels, both ways
# Operations a second of the network in full and in mixed precision: images a
# second of 8 GPUs that train ResNet-50 v1.5 in NVIDIA's DeepLearningExamples
# (PyTorch/Classification/ConvNets/resnet50v1.5, container 21.03). Then the
# datasheet's peak in float32 without tensor cores, with which k-means works.
GPUS = {
    'V100': (2855 / 8 * _IMAGE, 8322 / 8 * _IMAGE, 15.7e12),
    'A100': (7248 / 8 * _IMAGE, 16621 / 8 * _IMAGE, 19.5e12),
}
# Of that peak: an assumption, for vectors of 128 numbers and the maximum of
# each row to find.
KMEANS_EFFICIENCY = 0.5


def network_speed(
    model: nn.Module,
    shape: Sequence[int],
    batch: int,
    amp: str | None,
    backward: bool,
) -> float:
    """Measure forward passes a second; a backward pass counts for two.

    Of a model in eval mode, for ``batch`` images (C, H, W) at once; ``amp`` is
    the type of autocast.
    """
    device = next(model.parameters()).device
    weights = [p for p in model.backbone.parameters() if p.requires_grad]

    def run(number: int) -> None:
        images = torch.zeros(number, *shape, device=device)
        kind = getattr(torch, amp) if amp else None
        with torch.autocast(device.type, kind, enabled=amp is not None):
            projected = encode(model, images)[1]
        if backward:
            torch.autograd.grad(projected.sum(), weights, allow_unused=True)

    with torch.set_grad_enabled(backward):
        return (3 if backward else 1) * _per_second(run, device, batch)


def kmeans_speed(k: int, dim: int, device: torch.device) -> float:
    """Measure the operations a second of an assignment to K centroids."""
    centroids = torch.randn(min(k, 4096), dim, device=device)
    faiss = require('faiss', 'faiss-cpu', 'k-means on a CPU')

    def assign(number: int) -> None:
        vectors = torch.randn(number, dim, device=device)
        if device.type == 'cpu':
            faiss.knn(vectors.numpy(), centroids.numpy(), 1)
        else:
            (vectors @ centroids.T).max(dim=1)

    return 2 * len(centroids) * dim * _per_second(assign, device, 2**14)


def _per_second(
    run: Callable[[int], Any], device: torch.device, most: int
) -> float:
    """Return the items a second of ``run(items)``, for growing numbers."""

    def timed(number: int) -> float:
        start = time.perf_counter()
        run(number)
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    # The first call is slow; in a network that takes long it has to do.
    number, seconds = 1, timed(1)
    if seconds < 0.5:
        seconds = timed(1)
    # One image would wait for the weights alone.
    while number < most and seconds < (0.05 if number > 8 else 0.3):
        number = min(number * (8 if seconds < 0.005 else 2), most)
        seconds = timed(number)
    if seconds < 0.2:  # other programs may have run
        seconds = min(seconds, timed(number), timed(number))
    return number / seconds


def loading_speed(
    load: Callable[[int], dict],
) -> tuple[float, list[tuple[int, ...]]]:
    """Measure how many images a second one core loads and augments.

    ``load`` gives a packed sample of any index. The shape (C, H, W) of each
    view is returned too.
    """
    views = load(0)['inputs']  # opens what stays open
    count, start = 0, time.perf_counter()
    while count < 3 or time.perf_counter() - start < 0.1:
        count += 1
        load(count)
    speed = count / (time.perf_counter() - start)
    views = views if isinstance(views, (list, tuple)) else [views]
    return speed, [tuple(view.shape) for view in views]
