# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass
from typing import Union

import numpy as np
from mmpretrain.registry import TASK_UTILS

INSTALL_FAISS = (
    'faiss is needed for clustering and is not installed: '
    'pip install faiss-cpu   (or the faiss-gpu wheel of your CUDA version)'
)


@dataclass(frozen=True)
class KMeansResult:
    """One clustering of N embeddings.

    Attributes:
        assignments (np.ndarray): Cluster of each embedding, (N,), int64.
        centroids (np.ndarray): (K', D), float32; K' <= k since clusters that
            end up empty are dropped and the others renumbered.
        objective (float): Mean squared distance to the assigned centroid,
            over all N embeddings.
        num_trained (int): Embeddings that k-means itself was run on.
    """

    assignments: np.ndarray
    centroids: np.ndarray
    objective: float
    num_trained: int


@TASK_UTILS.register_module()
class FaissKMeans:
    """k-means by faiss, on the CPU or on a GPU.

    The same data, seed and number of threads give the same result on a CPU;
    faiss does not promise that on a GPU.

    Args:
        niter (int): Lloyd iterations of a run. Defaults to 20.
        nredo (int): Runs from different starts, the best is kept.
            Defaults to 5.
        max_points_per_centroid (int): More are subsampled for the iterations;
            all are assigned at the end. Defaults to 1000.
        min_points_per_centroid (int): The clustering hook warns if a K leaves
            fewer. Defaults to 10.
        spherical (bool): Normalise the centroids after each iteration and
            assign by the inner product, so that assignment and logits agree.
            False is plain L2, as in the official PCL. Defaults to True.
        device (str): 'cpu', 'gpu' (the current CUDA device), or 'auto': a GPU
            where both torch and faiss see one. Defaults to 'auto'.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        niter: int = 20,
        nredo: int = 5,
        max_points_per_centroid: int = 1000,
        min_points_per_centroid: int = 10,
        spherical: bool = True,
        device: str = 'auto',
    ) -> None:
        for name, value in (
            ('niter', niter),
            ('nredo', nredo),
            ('max_points_per_centroid', max_points_per_centroid),
            ('min_points_per_centroid', min_points_per_centroid),
        ):
            if value < 1:
                raise ValueError(f'kmeans.{name} must be >= 1, not {value}.')
        if device not in ('auto', 'cpu', 'gpu'):
            raise ValueError(
                f"kmeans.device must be 'auto', 'cpu' or 'gpu', not "
                f'{device!r}.'
            )
        self.niter = niter
        self.nredo = nredo
        self.max_points_per_centroid = max_points_per_centroid
        self.min_points_per_centroid = min_points_per_centroid
        self.spherical = spherical
        self.device = device

    def gpu_id(self) -> Union[bool, int]:
        """The CUDA device that faiss will use, or False for the CPU.

        Raises:
            ImportError: If faiss is missing.
            RuntimeError: If device='gpu' and there is none.
        """
        faiss = _import_faiss()
        import torch

        visible = getattr(faiss, 'get_num_gpus', lambda: 0)()
        if visible and torch.cuda.is_available() and self.device != 'cpu':
            return torch.cuda.current_device()
        if self.device == 'gpu':
            raise RuntimeError(
                f"kmeans.device='gpu', but faiss {faiss.__version__} sees "
                f'{visible} GPUs and torch.cuda.is_available() is '
                f'{torch.cuda.is_available()}. Install the faiss-gpu wheel '
                "of your CUDA version, or set kmeans.device='auto'."
            )
        return False

    def fit(self, features: np.ndarray, k: int, seed: int) -> KMeansResult:
        """Cluster the features into k clusters.

        Args:
            features (np.ndarray): (N, D), float32, finite; l2-normalised if
                spherical.
            k (int): Number of clusters, 1 <= k <= N.
            seed (int): Seed of the initial centroids, in [0, 2^31).

        Returns:
            KMeansResult: Assignments, centroids and objective.

        Raises:
            ValueError: If k does not fit the number of features.
        """
        features = np.ascontiguousarray(features, dtype=np.float32)
        num_samples, dim = features.shape
        if not 1 <= k <= num_samples:
            raise ValueError(
                f'k-means with k={k} needs at least as many embeddings, but '
                f'there are {num_samples}.'
            )
        faiss = _import_faiss()
        gpu = self.gpu_id()
        # faiss' wrapper reads gpu=0 as "no GPU" and gpu=1 as "one GPU", so
        # the device is chosen by building the index here.
        kmeans = faiss.Kmeans(
            dim,
            k,
            niter=self.niter,
            nredo=self.nredo,
            seed=seed,
            spherical=self.spherical,
            max_points_per_centroid=self.max_points_per_centroid,
            # faiss would print its own warning to stderr in every run.
            min_points_per_centroid=1,
        )
        resources = None
        if gpu is not False:
            resources = faiss.StandardGpuResources()
            kmeans.index = faiss.index_cpu_to_gpu(resources, gpu, kmeans.index)
        kmeans.train(features)
        _, nearest = kmeans.assign(features)
        del resources
        used, assignments = np.unique(nearest, return_inverse=True)
        centroids = np.ascontiguousarray(kmeans.centroids[used])
        return KMeansResult(
            assignments=assignments.astype(np.int64),
            centroids=centroids,
            objective=_mean_squared_distance(features, centroids, assignments),
            num_trained=min(num_samples, k * self.max_points_per_centroid),
        )


def _mean_squared_distance(
    features: np.ndarray, centroids: np.ndarray, assignments: np.ndarray
) -> float:
    """Mean squared distance of features to their centroids, in chunks."""
    total = 0.0
    for start in range(0, len(features), 65536):
        part = slice(start, start + 65536)
        difference = features[part] - centroids[assignments[part]]
        total += float(np.square(difference, dtype=np.float64).sum())
    return total / len(features)


def _import_faiss():
    try:
        import faiss
    except ImportError as error:
        raise ImportError(INSTALL_FAISS) from error
    return faiss
