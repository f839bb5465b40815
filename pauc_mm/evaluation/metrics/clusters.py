# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""k-means on the embeddings of a metric."""

import torch
from torch import Tensor

from pauc_mm.clustering import FaissKMeans
from pauc_mm.evaluation.functional.checks import as_unit_vectors


def choose_num_clusters(num_clusters: int | None, num_samples: int) -> int:
    """Return the given number, or one for every 20 samples, 100 at most."""
    return num_clusters or min(100, max(2, num_samples // 20))


def check_num_clusters(
    name: str, num_clusters: int | None, num_samples: int
) -> None:
    """Refuse more clusters than samples."""
    if num_samples < (num_clusters or 0):
        raise ValueError(
            f'{name}.num_clusters={num_clusters} is more than the '
            f'{num_samples} samples that are evaluated: lower it.'
        )


def cluster(
    vectors: Tensor, num_clusters: int | None, seed: int, field: str
) -> Tensor:
    """Return the clusters (N,) of vectors (N, D) by spherical k-means.

    Empty clusters have no number.
    """
    unit = as_unit_vectors(vectors, field, torch.float32).cpu().numpy()
    number = choose_num_clusters(num_clusters, len(unit))
    clustering = FaissKMeans(spherical=True).fit(unit, number, seed)
    return torch.as_tensor(clustering.assignments)
