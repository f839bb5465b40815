# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Data, models and clusterers for measuring the E-step.

Imported in the processes that measure only: it takes seconds.
"""

from __future__ import annotations

import functools
import time

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import barrier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn
from torch.utils.data import Dataset

from pauc_mm.clustering import (
    KMeansResult,
    build_kmeans,
    cluster_on_ranks,
    concentration,
)
from pauc_mm.embedding.e_step import extract_embeddings
from pauc_mm.models import KMeansPrototypes

TAU = 0.1
_PATTERNS = 512


class InMemoryImages(Dataset):
    """Distinct images made of a few patterns in memory.

    Args:
        num_images (int): N.
        size (int): Pixels; 1 serves where the images do not matter.
    """

    def __init__(self, num_images: int, size: int) -> None:
        self.num_images = num_images
        generator = torch.Generator().manual_seed(0)
        coarse = torch.rand(_PATTERNS, 3, 4, 4, generator=generator)
        images = F.interpolate(coarse, size=(size, size), mode='bilinear')
        self.patterns = (images * 255).byte()

    def __len__(self) -> int:
        return self.num_images

    def __getitem__(self, index: int) -> dict:
        pattern = self.patterns[index % _PATTERNS]
        return dict(
            inputs=pattern + 37 * (index // _PATTERNS) % 256,
            data_samples=DataSample(metainfo=dict(sample_idx=index)),
        )


def small_model(backbone: str, device: str) -> nn.Module:
    """Build a PCL with a small backbone, the same in every process.

    Args:
        backbone (str): 'tiny', three convolutions, or 'resnet18'.
        device (str): 'cpu' or 'cuda'.
    """
    torch.manual_seed(0)
    tiny = dict(type='TinyConvNet', channels=(32, 64, 128), strides=(2, 2, 2))
    model = MODELS.build(
        dict(
            type='PCL',
            queue_len=64,
            num_clusters=[2],
            data_preprocessor=dict(
                type='SelfSupDataPreprocessor',
                mean=[127.5] * 3,
                std=[127.5] * 3,
            ),
            backbone=tiny
            if backbone == 'tiny'
            else dict(type='ResNet', depth=18),
            neck=dict(
                type='LinearNeck',
                in_channels=128 if backbone == 'tiny' else 512,
                out_channels=128,
                gap_dim=2,
                norm_cfg=None,
            ),
            head=dict(
                type='ContrastiveHead',
                loss=dict(type='CrossEntropyLoss'),
                temperature=TAU,
            ),
            proto_head=dict(type='ProtoNCEHead', num_negatives=1),
        )
    )
    model.start_momentum_encoder()
    return model.to(device)


class StubAlgorithm(nn.Module):
    """Minimal algorithm for :func:`extract_embeddings`.

    Its network multiplies a pixel by a matrix, so that a million images take
    the time of loading and assembling them.

    Args:
        dim (int): D.
        device (str): 'cpu' or 'cuda'.
    """

    def __init__(self, dim: int, device: str) -> None:
        super().__init__()
        self.data_preprocessor = MODELS.build(
            dict(type='SelfSupDataPreprocessor')
        )
        self.backbone = nn.Identity()
        torch.manual_seed(0)
        self.neck = nn.Sequential(nn.Flatten(), nn.Linear(3, dim))
        self.encoder_k = nn.Module()
        self.encoder_k.module = nn.Sequential(self.backbone, self.neck)
        self.to(device)


class StubKMeans:
    """Random clusterings of the real size, without the cost of k-means."""

    sharded = True

    def fit(self, shard, k, seed) -> KMeansResult:
        """Return K unit vectors, and a cluster for each of N rows."""
        rng = np.random.default_rng(seed)
        centroids = rng.standard_normal((k, shard.rows.shape[1]), np.float32)
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
        return KMeansResult(
            rng.integers(k, size=shard.total, dtype=np.int32),
            centroids,
            rng.random(k),
            0.0,
            shard.total,
        )


def post_process(results, device: str) -> KMeansPrototypes:
    """Compute concentrations and hand the prototypes to the model."""
    concentrations = [
        concentration(
            torch.from_numpy(result.mean_distances),
            torch.bincount(
                torch.from_numpy(result.assignments),
                minlength=len(result.centroids),
            ),
            TAU,
        )
        for result in results
    ]
    sizes = [len(result.centroids) for result in results]
    sets = KMeansPrototypes(sizes, results[0].centroids.shape[1])
    sets.update(
        [torch.from_numpy(result.centroids) for result in results],
        concentrations,
        torch.stack([torch.from_numpy(r.assignments) for r in results]),
        torch.device(device),
        0,
    )
    return sets


_model = functools.lru_cache(small_model)
_images = functools.lru_cache(InMemoryImages)


def timed_e_step(
    num_images: int, clusters: tuple[int, ...], options: dict
) -> dict[str, float]:
    """Run one E-step; every rank calls it at the same time.

    Args:
        num_images (int): N.
        clusters (tuple[int, ...]): K of each clustering.
        options (dict): ``backbone``, ``device``, ``image_size``, ``batch``
            and ``niter`` of the command line.

    Returns:
        dict[str, float]: Seconds of this rank by phase, and how many
        clusters were not ``empty``.
    """
    model = _model(options['backbone'], options['device'])
    images = _images(num_images, options['image_size'])
    kmeans, _ = build_kmeans(dict(niter=options['niter'], nredo=1))
    seconds = {}

    def phase(name, run):
        barrier()
        start = time.perf_counter()
        result = run()
        seconds[name] = time.perf_counter() - start
        return result

    embeddings = phase(
        'embed', lambda: extract_embeddings(model, images, options['batch'])
    )
    results = phase(
        'cluster',
        lambda: cluster_on_ranks(
            kmeans,
            embeddings,
            clusters,
            range(len(clusters)),
        ),
    )
    phase('rest', lambda: post_process(results, options['device']))
    seconds['total'] = sum(seconds.values())
    seconds['used'] = sum(len(result.centroids) for result in results)
    return seconds
