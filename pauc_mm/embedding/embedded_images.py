# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Features and embeddings of images, cached in a file."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dataset import BaseDataset
from mmengine.runner import set_random_seed
from torch import Tensor

from pauc_mm.compat.safe_load import load_without_code

from .dataset import map_dataset, non_finite_rows
from .images import ImageSource

# Side of the shrunken images, whose kNN accuracy is the baseline.
PIXELS = 16
MAX_VIEWS = 2000


@dataclass
class EmbeddedImages:
    """Features and embeddings of N images."""

    features: Tensor  # pooled, of the backbone, shape (N, C), float32
    # After the projection, l2-normalised, shape (N, D), float32.
    embeddings: Tensor | None
    # The preprocessed images at 16 x 16, shape (N, 256 * channels), float16.
    pixels: Tensor
    # Two augmented views of n images, in the space, (2, n, D), l2-normalised.
    views: Tensor | None

    @property
    def space(self) -> str:
        """Space of the prototypes: 'embedding', or 'feature' without it."""
        return 'feature' if self.embeddings is None else 'embedding'

    @property
    def vectors(self) -> Tensor:
        """l2-normalised vectors in :attr:`space`, shape (N, D)."""
        if self.embeddings is not None:
            return self.embeddings
        return F.normalize(self.features, dim=1)


def embed_all(
    encoder: Any,
    source: ImageSource,
    batch_size: int = 64,
    num_workers: int = 0,
    device: str = 'cpu',
    seed: int = 0,
    store: Path | None = None,
    key: dict | None = None,
) -> EmbeddedImages:
    """Embed all images, or read the result of an earlier call.

    ``encoder`` is an Encoder, ``seed`` that of the augmented views, and
    ``store`` the cache file. ``key`` has all that the result depends on
    besides the images: a cache with another key is recomputed. The result is
    on the CPU.

    Raises:
        RuntimeError: If an image cannot be embedded or comes out not finite.
    """
    stamp = json.dumps([source.fingerprint(), seed, key])
    if store is not None and store.is_file():
        kept = _read(store)
        if kept.pop('stamp', None) == stamp:
            return EmbeddedImages(**kept)
    encoder.to(device)
    options = dict(batch_size=batch_size, num_workers=num_workers)
    try:
        result = _embed(encoder, source.dataset, **options)
        for vectors in (result.features, result.embeddings):
            if vectors is not None and (bad := non_finite_rows(vectors)):
                names = [source.paths[i] or f'image {i}' for i in bad[:5]]
                raise RuntimeError(
                    f'The vectors of {len(bad)} of {len(vectors)} images are '
                    f'not finite; first: {", ".join(names)}. The training of '
                    f'this checkpoint ({encoder.layout}) has diverged: take '
                    'one of an earlier epoch. If it is only a few images, '
                    'look at those.'
                )
        if source.views is not None:
            result.views = _embed_views(encoder, source.views, seed, **options)
    except AssertionError as error:  # mmcv's
        raise ValueError(
            f'An image does not decode ({error}): leave such files out with '
            '--corrupt skip.'
        ) from error
    if store is not None:
        store.parent.mkdir(parents=True, exist_ok=True)
        partial = store.with_suffix('.part')
        torch.save(dict(vars(result), stamp=stamp), partial)
        partial.replace(store)
    return result


def _read(store: Path) -> dict:
    """Read a cache file; empty if it is damaged or another file."""
    try:
        return dict(load_without_code(str(store)))
    except Exception as error:
        print(f'{store} is recomputed ({type(error).__name__}).')
        return {}


def drop_zeros(
    images: EmbeddedImages, source: ImageSource
) -> tuple[EmbeddedImages, ImageSource, float]:
    """Drop images whose feature or embedding is exactly zero.

    The others are returned, and the share of images that were dropped.

    Raises:
        ValueError: If fewer than two images remain.
    """
    kept = images.features.norm(dim=1) > 0
    if images.embeddings is not None:
        kept &= images.embeddings.norm(dim=1) > 0
    rows = torch.nonzero(kept).flatten()
    if len(rows) < 2:
        raise ValueError(
            f'Complete collapse: {len(kept) - len(rows)} of {len(kept)} '
            'images have a feature or embedding that is exactly zero (dead '
            'units), and nothing is left to measure.'
        )
    if len(rows) == len(kept):
        return images, source, 0.0
    some = replace(
        images, features=images.features[rows], pixels=images.pixels[rows]
    )
    if images.embeddings is not None:
        some.embeddings = images.embeddings[rows]
    return some, source.select(rows.tolist()), 1 - len(rows) / len(kept)


def note_copies(
    images: EmbeddedImages, training: EmbeddedImages | None = None
) -> list[str]:
    """Say how many images look exactly like others, at 16 x 16 pixels.

    They are compared with each other, or with those that a classifier was
    trained on. The list has one sentence, or none where all differ.

    Raises:
        ValueError: If more than half have a copy: a figure would be about
            those, not about the network.
    """
    looks = [hash(row.tobytes()) for row in images.pixels.numpy()]
    if training is None:
        copied = len(looks) - len(set(looks))
        note = 'images look exactly like another one'
    else:
        seen = {hash(row.tobytes()) for row in training.pixels.numpy()}
        copied = sum(look in seen for look in looks)
        note = 'test images look exactly like a training image'
    note = f'{copied} of {len(looks)} {note} ({PIXELS} x {PIXELS} pixels).'
    if 2 * copied > len(looks):
        raise ValueError(
            f'{note} What is measured on copies says nothing about the '
            'network: give images without them.'
        )
    return [note] if copied else []


def _embed(
    encoder: Any, dataset: BaseDataset, **options: Any
) -> EmbeddedImages:
    def embed(batch: dict) -> tuple[Tensor, ...]:
        images = encoder.preprocess_images(batch['inputs'])
        feature, embedding = encoder.embed(images)
        small = F.interpolate(images, (PIXELS, PIXELS), mode='area')
        both = (feature,) if embedding is None else (feature, embedding)
        return (small.flatten(1).half(), *both)

    rows = range(len(dataset))
    pixels, features, *rest = map_dataset(embed, dataset, rows, **options)
    return EmbeddedImages(features, rest[0] if rest else None, pixels, None)


def _embed_views(
    encoder: Any, dataset: BaseDataset, seed: int, **options: Any
) -> Tensor | None:
    """Embed two views of at most MAX_VIEWS images, evenly spaced."""
    number = min(len(dataset), MAX_VIEWS)
    rows = [i * len(dataset) // number for i in range(number)]

    def embed(batch: dict) -> list[Tensor]:
        pair = []
        for inputs in batch['inputs']:
            images = encoder.preprocess_images(inputs)
            feature, embedding = encoder.embed(images)
            vectors = feature if embedding is None else embedding
            pair.append(F.normalize(vectors.cpu(), dim=1))
        return pair

    # The draws of the loading processes, or of this one, follow from it.
    set_random_seed(seed)
    views = torch.stack(map_dataset(embed, dataset, rows, **options))
    # A vector without a direction has no alignment.
    views = views[:, (views.norm(dim=2) > 0).all(dim=0)]
    return views if views.shape[1] else None
