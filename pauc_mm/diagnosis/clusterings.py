# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Prototypes to diagnose: the model's own, or those of k-means."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pauc_mm.clustering import FaissKMeans
from pauc_mm.embedding.embedded_images import EmbeddedImages

# Fewer images a prototype say nothing about its size.
IMAGES_A_PROTOTYPE = 10


@dataclass
class Clustering:
    """Prototypes and their members."""

    name: str  # in the report
    prototypes: Tensor  # shape (K, D), l2-normalised, float32
    # Prototype of each image, shape (N,), int64; None if the model cannot
    # embed images where its prototypes live.
    assignments: Tensor | None
    own: bool  # whether they are the model's, not those of k-means

    @property
    def sizes(self) -> Tensor | None:
        """Number of images of each prototype, shape (K,), int64."""
        if self.assignments is None:
            return None
        return torch.bincount(self.assignments, minlength=len(self.prototypes))


def find_clusterings(
    encoder,
    images: EmbeddedImages,
    num_clusters: Sequence[int] | None = None,
    seed: int = 0,
) -> list[Clustering]:
    """Assign N images to the model's prototypes, or run k-means.

    ``num_clusters`` is K of each k-means, by default about N / 100 and N / 20
    if the model has no prototypes in the space of its embeddings, else none.
    The model's own come first, each by number of prototypes, ascending.

    Raises:
        ValueError: If a K is below 2 or leaves fewer than two images each, or
            the prototypes have another width than the embeddings.
    """
    vectors = images.vectors
    check_num_clusters(num_clusters, len(vectors))
    clusterings = []
    for name, prototypes in encoder.prototypes.items():
        prototypes = prototypes.float()
        used = prototypes.norm(dim=1) > 0
        if not used.all():
            name = f'{name}, {int((~used).sum())} zero vectors left out'
        if not used.any():
            continue
        prototypes = F.normalize(prototypes[used], dim=1)
        comparable = images.space == encoder.prototype_space
        if comparable and prototypes.shape[1] != vectors.shape[1]:
            raise ValueError(
                f'The checkpoint has {name} of {prototypes.shape[1]} '
                f'dimensions, and its encoder gives {vectors.shape[1]}: they '
                'are not of one training. Save the encoder and its prototypes '
                'again.'
            )
        assignments = nearest(vectors, prototypes) if comparable else None
        clusterings.append(Clustering(name, prototypes, assignments, own=True))
    if num_clusters is None:
        compared = any(c.assignments is not None for c in clusterings)
        sizes = {max(2, len(vectors) // 100), max(4, len(vectors) // 20)}
        num_clusters = () if compared else sizes
    clusterings.sort(key=lambda clustering: len(clustering.prototypes))
    return clusterings + [
        _kmeans(vectors, k, seed) for k in sorted(num_clusters)
    ]


def check_num_clusters(
    num_clusters: Sequence[int] | None, num_images: int
) -> None:
    """Raise a ValueError if a K is below 2 or above half of the images."""
    for k in num_clusters or ():
        if not 2 <= k <= num_images // 2:
            raise ValueError(
                f'--clusters must be from 2 to {num_images // 2}, half of '
                f'the {num_images} images, got {k}. Lower it or give more '
                'images.'
            )


def nearest(vectors: Tensor, prototypes: Tensor) -> Tensor:
    """Return the index of the nearest prototype by inner product, (N,)."""
    import faiss

    index = faiss.IndexFlatIP(prototypes.shape[1])
    index.add(prototypes.contiguous().numpy())
    _, indices = index.search(vectors.contiguous().numpy(), 1)
    return torch.from_numpy(indices[:, 0])


def _kmeans(vectors: Tensor, k: int, seed: int) -> Clustering:
    runs = 5 if len(vectors) <= 10_000 else 1  # of which the best is taken
    result = FaissKMeans(nredo=runs).fit(vectors.numpy(), k, seed)
    # Empty clusters are dropped: of a total collapse one cluster remains.
    return Clustering(
        f'k-means, K = {k}',
        F.normalize(torch.from_numpy(result.centroids), dim=1),
        torch.from_numpy(result.assignments),
        own=False,
    )
