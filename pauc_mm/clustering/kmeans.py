# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmpretrain.registry import TASK_UTILS

from pauc_mm.utils.checks import check_choice, check_integer
from pauc_mm.utils.require import require

# faiss would take more on larger GPUs; searches are cut to fit.
GPU_SCRATCH_BYTES = 512 * 2**20


@dataclass(frozen=True)
class KMeansResult:
    """One clustering of N embeddings.

    Attributes:
        assignments (np.ndarray): Cluster of each embedding, (N,), integers.
        centroids (np.ndarray): (K', D), float32; K' <= k since clusters that
            end up empty are dropped and the others renumbered.
        mean_distances (np.ndarray): Mean Euclidean distance of the members
            of each cluster to its centroid, (K',), float64.
        objective (float): Mean squared distance over all N embeddings.
        num_trained (int): Embeddings used in the iterations of k-means.
    """

    assignments: np.ndarray
    centroids: np.ndarray
    mean_distances: np.ndarray
    objective: float
    num_trained: int


class BaseKMeans:
    """Options that the k-means of faiss and the sharded one have in common.

    Args:
        niter (int): Lloyd iterations of a run.
        nredo (int): Runs from different starts, the best is kept.
        max_points_per_centroid (int): More are subsampled for the iterations;
            all are assigned at the end.
        min_points_per_centroid (int): The clustering hook warns if a K leaves
            fewer.
        spherical (bool): Normalise the centroids after each iteration and
            assign by the inner product, so that assignment and logits agree.
            False is plain L2, as in the official PCL.
        warm_start (bool): Whether the clustering hook starts a run from the
            centroids of the previous E-step; it is then one run of
            ``warm_niter`` iterations.
        warm_niter (int): Iterations of such a run.
    """

    def __init__(
        self,
        niter: int = 20,
        nredo: int = 5,
        max_points_per_centroid: int = 1000,
        min_points_per_centroid: int = 10,
        spherical: bool = True,
        warm_start: bool = False,
        warm_niter: int = 5,
    ) -> None:
        self.niter, self.nredo, self.warm_niter = niter, nredo, warm_niter
        self.max_points_per_centroid = max_points_per_centroid
        self.min_points_per_centroid = min_points_per_centroid
        for name in (
            *('niter', 'nredo', 'warm_niter'),
            *('max_points_per_centroid', 'min_points_per_centroid'),
        ):
            check_integer(f'kmeans.{name}', getattr(self, name), 1)
        self.spherical, self.warm_start = spherical, warm_start

    def check_fit(
        self, num: int, dim: int, k: int, init: np.ndarray | None
    ) -> None:
        """Refuse a k or initial centroids that do not fit the embeddings.

        Raises:
            ValueError: With the sizes.
        """
        if not 1 <= k <= num:
            raise ValueError(
                f'k-means with k={k} needs at least as many embeddings, got '
                f'{num}. Lower model.num_clusters.'
            )
        if init is not None and (init.shape[1] != dim or len(init) > k):
            raise ValueError(
                f'Initial centroids of shape {init.shape} do not fit k={k} '
                f'and embeddings of {dim} dimensions.'
            )


@TASK_UTILS.register_module()
class FaissKMeans(BaseKMeans):
    """k-means by faiss, on the CPU or on a GPU.

    The same data, seed and number of threads give the same result on a CPU;
    faiss does not promise that on a GPU. Several ranks share the M clusterings
    of an E-step, and each of them holds the whole matrix.

    Args:
        **kwargs: See :class:`BaseKMeans`.
        device (str): 'cpu', 'gpu' (the current CUDA device), or 'auto': a GPU
            where both torch and faiss see one, and the CPU, with a warning, if
            the GPU's memory does not suffice.
    """

    def __init__(
        self, *args: Any, device: str = 'auto', **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.device = check_choice(
            'kmeans.device', device, ('auto', 'cpu', 'gpu')
        )

    def gpu_id(self) -> bool | int:
        """Return the CUDA device that faiss will use, or False for the CPU.

        Raises:
            ImportError: If faiss is missing.
            RuntimeError: If device='gpu' and there is none.
        """
        faiss = import_faiss()
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

    def gpu_memory(self, k: int, dim: int) -> int:
        """Return the bytes of GPU memory that k clusters of D = dim need.

        The features stay on the CPU and pass through the scratch in pages.
        """
        return GPU_SCRATCH_BYTES + 4 * k * (dim + 1)

    def fit(
        self,
        features: np.ndarray,
        k: int,
        seed: int,
        init: np.ndarray | None = None,
    ) -> KMeansResult:
        """Cluster the features into k clusters.

        Args:
            features (np.ndarray): (N, D), float32, finite; l2-normalised if
                spherical.
            k (int): Number of clusters, 1 <= k <= N.
            seed (int): Seed of the initial centroids, in [0, 2^31).
            init (np.ndarray, optional): Centroids to start from, (K', D),
                float32; if K' < k, faiss draws the others from the features.

        Raises:
            ValueError: If k or the initial centroids do not fit the features.
            RuntimeError: If the memory does not suffice.
        """
        features = np.ascontiguousarray(features, dtype=np.float32)
        num_samples, dim = features.shape
        self.check_fit(num_samples, dim, k, init)
        gpu, result = self.gpu_id(), None
        try:
            result = self._run(features, k, seed, init, gpu)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._out_of_memory(error, features.shape, k, gpu)
        if result is None:  # not in the except, which holds on to GPU memory
            result = self._run(features, k, seed, init, False)
        scores, nearest, centroids = result
        if self.spherical:  # inner products; else squared distances
            scores = _squared_distances(features, centroids, nearest, scores)
        distances = np.sqrt(scores)
        total = np.bincount(nearest, distances, minlength=k)
        sizes = np.bincount(nearest, minlength=k)
        used = sizes > 0  # renumbered without those that ended up empty
        return KMeansResult(
            assignments=(np.cumsum(used) - 1)[nearest],
            centroids=np.ascontiguousarray(centroids[used]),
            mean_distances=total[used] / sizes[used],
            objective=float(np.square(distances, dtype=np.float64).mean()),
            num_trained=min(num_samples, k * self.max_points_per_centroid),
        )

    def _run(self, features, k, seed, init, gpu):
        """Return score and index of the nearest centroids, and all of them."""
        faiss = import_faiss()
        kmeans = faiss.Kmeans(
            features.shape[1],
            k,
            # From given centroids every redo would be the same.
            niter=self.niter if init is None else self.warm_niter,
            nredo=self.nredo if init is None else 1,
            seed=seed,
            spherical=self.spherical,
            max_points_per_centroid=self.max_points_per_centroid,
            # faiss would print its own warning to stderr in every run.
            min_points_per_centroid=1,
        )
        resources = None
        if gpu is not False:
            # torch keeps freed memory, which faiss then could not use.
            torch.cuda.empty_cache()
            resources = faiss.StandardGpuResources()
            resources.setTempMemory(GPU_SCRATCH_BYTES)
            # faiss' wrapper reads gpu=0 as "no GPU" and gpu=1 as "one GPU",
            # so the device is chosen by building the index here.
            kmeans.index = faiss.index_cpu_to_gpu(resources, gpu, kmeans.index)
        kmeans.train(features, init_centroids=init)
        scores, nearest = kmeans.assign(features)
        centroids = kmeans.centroids
        del kmeans, resources
        return scores, nearest, centroids

    def _out_of_memory(self, error, shape, k, gpu):
        """Warn that the CPU takes over, or raise where it must not."""
        message = (
            f'k-means of {shape[0]} x {shape[1]} embeddings '
            f'({4 * shape[0] * shape[1] / 2**20:.0f} MiB) into k={k} clusters '
            'ran out of memory on '
        )
        fix = (
            'Lower kmeans.max_points_per_centroid (now '
            f'{self.max_points_per_centroid}) or model.num_clusters.'
        )
        if gpu is False:
            raise RuntimeError(f'{message}the CPU. {fix}') from error
        needed = self.gpu_memory(k, shape[1]) / 2**20
        message += f'CUDA device {gpu}: it needs about {needed:.0f} MiB. '
        if self.device == 'gpu':
            fix += " Or set kmeans.device='auto', which falls back to the CPU."
            raise RuntimeError(message + fix) from error
        print_log(
            f'{message}It runs on the CPU instead, which is slower: '
            f'{str(error).splitlines()[0]}',
            logger='current',
            level=logging.WARNING,
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether torch or faiss lacked memory, on a CPU or a GPU."""
    signs = 'out of memory', 'alloc fail', 'bad_alloc', 'allocate memory'
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(s in text for s in signs)


def _squared_distances(features, centroids, nearest, products):
    """Return squared distances from inner products; never below zero."""
    squares = np.einsum('nd,nd->n', features, features)
    squares += np.einsum('kd,kd->k', centroids, centroids)[nearest]
    squares -= 2 * products
    return np.maximum(squares, 0, out=squares)


def import_faiss() -> Any:
    """Import faiss, or say how to install it."""
    return require('faiss', 'faiss-cpu', 'clustering')
