# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The prototypes to diagnose: the model's own, or those of k-means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pauc_mm.embedding.embedded_images import EmbeddedImages

# Images a prototype needs for a word about its size or emptiness.
IMAGES_A_PROTOTYPE = 10
# Of images, for the best of several runs of k-means.
MAX_REDO = 10_000


@dataclass
class Clustering:
    """Prototypes, and which images belong to each.

    Attributes:
        name (str): For the report.
        prototypes (Tensor): Shape (K, D), l2-normalised, float32.
        assignments (Tensor, optional): Prototype of each image, shape (N,),
            int64; None if the model cannot embed images where its prototypes
            live.
        own (bool): Whether they are the model's, and not k-means'.
    """

    name: str
    prototypes: Tensor
    assignments: Tensor | None
    own: bool

    @property
    def sizes(self) -> Tensor | None:
        """Images of each prototype, shape (K,), int64."""
        if self.assignments is None:
            return None
        return torch.bincount(self.assignments, minlength=len(self.prototypes))


def find_clusterings(
    encoder,
    images: EmbeddedImages,
    num_clusters: Sequence[int] | None = None,
    seed: int = 0,
) -> list[Clustering]:
    """The model's prototypes with the images nearest to each, and k-means.

    k-means runs if the model has no prototypes that its embeddings can be
    compared with, or if a number of clusters is asked for.

    Args:
        encoder (Encoder): For its prototypes.
        images (EmbeddedImages): N embedded images.
        num_clusters (sequence of int, optional): K of each k-means. Defaults
            to None: about N / 100 and N / 20 if the model has no prototypes.
        seed (int): Of k-means. Defaults to 0.

    Returns:
        list[Clustering]: With the fewest prototypes first, the model's own
        before k-means'.

    Raises:
        ValueError: If a K is below 2 or leaves fewer than two images each.
    """
    vectors = images.vectors
    check_num_clusters(num_clusters, len(vectors))
    found = []
    for name, prototypes in encoder.prototypes.items():
        prototypes = prototypes.float()
        used = prototypes.norm(dim=1) > 0
        if not used.all():
            name = f'{name}, {int((~used).sum())} that are zero left out'
        if not used.any():
            continue
        prototypes = F.normalize(prototypes[used], dim=1)
        comparable = (
            images.space == encoder.prototype_space
            and prototypes.shape[1] == vectors.shape[1]
        )
        assignments = nearest(vectors, prototypes) if comparable else None
        found.append(Clustering(name, prototypes, assignments, own=True))
    if num_clusters is None:
        if any(c.assignments is not None for c in found):
            num_clusters = ()
        else:
            number = len(vectors)
            num_clusters = sorted(
                {max(2, number // 100), max(4, number // 20)}
            )
    found.sort(key=lambda clustering: len(clustering.prototypes))
    return found + [_kmeans(vectors, k, seed) for k in sorted(num_clusters)]


def check_num_clusters(
    num_clusters: Sequence[int] | None, num_images: int
) -> None:
    """Refuse numbers of clusters that k-means cannot make.

    Raises:
        ValueError: If a K is below 2 or leaves fewer than two images each.
    """
    for k in num_clusters or ():
        if not 2 <= k <= num_images // 2:
            raise ValueError(
                f'--clusters {k} with {num_images} images: it must be at '
                f'least 2 and leave two images each, at most '
                f'{num_images // 2}. Lower it or give more images.'
            )


def nearest(vectors: Tensor, prototypes: Tensor) -> Tensor:
    """Prototype of largest inner product for each vector, shape (N,)."""
    import faiss

    index = faiss.IndexFlatIP(prototypes.shape[1])
    index.add(prototypes.contiguous().numpy())
    _, found = index.search(vectors.contiguous().numpy(), 1)
    return torch.from_numpy(found[:, 0])


def _kmeans(vectors: Tensor, k: int, seed: int) -> Clustering:
    from pauc_mm.clustering import FaissKMeans

    runs = 5 if len(vectors) <= MAX_REDO else 1
    result = FaissKMeans(nredo=runs).fit(vectors.numpy(), k, seed)
    # Empty clusters are dropped; there is none left of a total collapse.
    return Clustering(
        f'k-means, K = {k}',
        F.normalize(torch.from_numpy(result.centroids), dim=1),
        torch.from_numpy(result.assignments),
        own=False,
    )
