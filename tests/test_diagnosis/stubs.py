# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Stand-ins for what a network gives."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F

from pauc_mm.embedding.embedded_images import EmbeddedImages

DIM = 16


def unit(rows, seed=0, dim=DIM):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(rows, dim, generator=generator), dim=1)


def blobs(classes=5, members=60, noise=0.15, seed=0):
    """Embeddings around directions at right angles, and their classes."""
    labels = torch.arange(classes).repeat_interleave(members)
    generator = torch.Generator().manual_seed(seed)
    spread = noise * torch.randn(len(labels), DIM, generator=generator)
    return F.normalize(torch.eye(DIM)[labels] + spread, dim=1), labels


def embedded(embeddings, features=None, views=None, pixels=None):
    number = len(embeddings)
    return EmbeddedImages(
        features=embeddings if features is None else features,
        embeddings=embeddings,
        pixels=unit(number, 9, 48).half() if pixels is None else pixels,
        views=views,
    )


def encoder(prototypes=None, space='embedding', **changes):
    values = dict(
        prototypes=prototypes or {},
        prototype_space=space if prototypes else None,
        layout='stub',
        epoch=None,
        notes=[],
        config=None,
        pipeline=None,
        dataset=None,
        preprocess=dict(to_rgb=True),
        channels=3,
    )
    return SimpleNamespace(**{**values, **changes})
