# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from mmpretrain.registry import TASK_UTILS
from torch import Tensor

from pauc_mm.utils import Shard, raise_together
from pauc_mm.utils.checks import check_integer

from .kmeans import BaseKMeans, KMeansResult, import_faiss, is_out_of_memory

_EPSILON = 1 / 1024  # of faiss: how far the halves of a cluster are moved
_ROWS_AT_ONCE = 65536


@TASK_UTILS.register_module()
class ShardedKMeans(BaseKMeans):
    """k-means of embeddings that are spread over all ranks.

    Each rank keeps its rows on its device, and every rank has the centroids.
    In an iteration a rank assigns its rows to the nearest centroids, by torch
    on a GPU and by faiss on a CPU. The sums and sizes of the clusters are
    then added up over the ranks.

    Seeds and global row numbers decide what is drawn, so that a run begins
    alike on any number of ranks. On a CPU the same number of ranks and
    threads gives the same bits. On a GPU torch adds in another order each
    time, unless ``torch.use_deterministic_algorithms(True)`` is set.

    Args:
        **kwargs: See :class:`BaseKMeans`.
        scratch (int): MiB for a part of the rows and, on a GPU, their products
            with all centroids. It is halved where memory runs out.
    """

    sharded = True

    def __init__(self, *args: Any, scratch: int = 512, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scratch = check_integer('kmeans.scratch', scratch, 1)
        self.halvings = 0  # of the scratch

    def memory(self, num: int, k: int, dim: int) -> int:
        """Return the bytes of a rank: its rows, tables of centroids, scratch.

        Several runs take a third table, for the best of them.
        """
        tables = 2 if self.nredo == 1 else 3
        return 4 * dim * (num + tables * k) + self.scratch * 2**20

    @torch.no_grad()
    def fit(
        self,
        shard: Shard,
        k: int,
        seed: int,
        init: np.ndarray | None = None,
    ) -> KMeansResult:
        """Cluster the rows of all ranks into k clusters; a collective call.

        Args:
            shard (Shard): This rank's rows of a matrix (N, D), float32,
                finite; l2-normalised if spherical. It works where they are.
            k (int): Number of clusters, 1 <= k <= N.
            seed (int): Seed of all draws, >= 0, the same on every rank.
            init (np.ndarray, optional): Centroids to start from, (K', D),
                float32; if K' < k, the others are drawn from the rows.

        Returns:
            KMeansResult: The same on every rank; the assignments are int32.

        Raises:
            ValueError: If k or the initial centroids do not fit the rows, or
                these are not finite.
            RuntimeError: If the memory does not suffice, or another rank
                failed.
        """
        self.check_fit(shard.total, shard.rows.shape[1], k, init)
        trained = min(shard.total, k * self.max_points_per_centroid)
        rng = np.random.default_rng(seed)
        pool: Any = shard.total  # all rows, or those that are drawn
        if trained < shard.total:
            pool = rng.choice(pool, trained, replace=False)
        run, error = _Run(self, shard, k), None
        try:
            run.prepare(pool)
        except Exception as caught:
            error = run.explain(caught)
        raise_together(error, 'k-means')
        niter, nredo = self.niter, self.nredo
        if init is not None:  # every run would be the same
            niter, nredo = self.warm_niter, 1
        best, lowest = run.centroids, np.inf
        for _ in range(nredo):
            run.start(rng.choice(pool, k, replace=False), init)
            objective = run.iterate(niter, rng)
            if nredo > 1 and objective < lowest:
                best, lowest = run.centroids.clone(), objective
        run.centroids = best
        return run.result(trained)


class _Run:
    """This rank's share of a clustering into k clusters."""

    def __init__(self, kmeans: ShardedKMeans, shard: Shard, k: int) -> None:
        self.kmeans, self.shard, self.k = kmeans, shard, k
        self.device = shard.rows.device
        self.on_cpu = self.device.type == 'cpu'

    def prepare(self, pool: int | np.ndarray) -> None:
        """Check the rows; allocate what an iteration needs."""
        self.rows = self.shard.rows.float().contiguous()
        if not all(part.isfinite().all() for part in self.rows.split(16384)):
            raise ValueError('k-means needs finite embeddings: some are not.')
        self.trained = None  # places of the drawn rows; None: all
        if isinstance(pool, np.ndarray):
            drawn = torch.zeros(self.shard.total, dtype=torch.bool)
            drawn[torch.from_numpy(pool)] = True
            self.trained = torch.nonzero(drawn[self.shard.index]).flatten()
            self.trained = self.trained.to(self.device)
        k, dim = self.k, self.rows.shape[1]
        self.centroids = self.rows.new_empty(k, dim)
        # Sums, sizes, and how many ranks have failed: one message.
        self.table = self.rows.new_empty(k * (dim + 1) + 1)
        self.sums = self.table[: k * dim].view(k, dim)
        self.sizes = self.table[k * dim : -1]
        self.objective = self.rows.new_zeros(1, dtype=torch.float64)
        if self.on_cpu:
            import_faiss()

    def explain(self, error: Exception) -> Exception:
        """Return the error, or what to do if memory was lacking."""
        if not is_out_of_memory(error):
            return error
        num, dim = self.shard.rows.shape
        mib = self.kmeans.memory(num, self.k, dim) / 2**20
        told = RuntimeError(
            f'k-means of {num} x {dim} embeddings a process into k={self.k} '
            f'clusters ran out of memory on {self.device}: it needs {mib:.0f} '
            f'MiB at most, of which kmeans.scratch={self.kmeans.scratch}. '
            'Lower model.num_clusters, use more processes, or, with hours for '
            "a million images, kmeans=dict(type='FaissKMeans', device='cpu')."
        )
        told.__cause__ = error
        return told

    def start(self, drawn: np.ndarray, init: np.ndarray | None) -> None:
        """Begin with the given centroids, and with drawn rows for others."""
        given = 0 if init is None else len(init)
        wanted = torch.from_numpy(drawn)[given:]

        def fill() -> None:
            index = torch.cat([self.shard.index, torch.tensor([-1])])
            place = torch.searchsorted(index[:-1], wanted)
            own = torch.nonzero(index[place] == wanted).flatten()
            self.sums[own + given] = self.rows[place[own]]

        self._add_up(self.table, fill)
        self.centroids.copy_(self.sums)
        if init is not None:
            self.centroids[:given] = torch.as_tensor(init)
        self._normalise()

    def iterate(self, niter: int, rng: np.random.Generator) -> float:
        """Return the sum of squared distances in the last iteration."""
        for _ in range(niter):
            self._add_up(self.table, self._accumulate)
            sizes = self.sizes[:, None].clamp_min(1)
            torch.div(self.sums, sizes, out=self.centroids)
            if (self.sizes == 0).any():
                counts = self.sizes.cpu().numpy().astype(np.int64)
                split_clusters(self.centroids, counts, rng)
            self._normalise()
        all_reduce(self.objective)
        return self.objective.item()

    def result(self, num_trained: int) -> KMeansResult:
        """Assign all rows; measure the clusters and drop empty ones."""
        k, shard = self.k, self.shard
        # Distances, sizes, objective, and how many ranks have failed
        totals = self.rows.new_zeros(2 * k + 2, dtype=torch.float64)
        assigned = self.rows.new_empty(len(self.rows), dtype=torch.int32)

        def measure() -> None:
            for part, _, ids, squared in self._assign(None):
                assigned[part] = ids.int()
                squared = squared.double()
                totals[:k].index_add_(0, ids, squared.sqrt())
                totals[k:-2].index_add_(0, ids, torch.ones_like(squared))
                totals[-2] += squared.sum()

        self._add_up(totals, measure)
        used = totals[k:-2] > 0
        renumbered = used.cumsum(0, dtype=torch.int32) - 1
        assigned = renumbered[assigned.long()]
        means = totals[:k][used] / totals[k:-2][used]
        return KMeansResult(
            shard._replace(rows=assigned).gather().numpy(),
            self.centroids[used].cpu().numpy(),
            means.cpu().numpy(),
            totals[-2].item() / shard.total,
            num_trained,
        )

    def _add_up(self, sums: Tensor, fill: Callable[[], None]) -> None:
        """Fill sums and add them over the ranks; the last counts failures."""
        error = None
        sums.zero_()
        try:
            fill()
        except Exception as caught:
            error = self.explain(caught)
            sums[-1] = 1
        all_reduce(sums)
        if sums[-1].item():  # every rank sees it
            raise_together(error, 'k-means')

    def _accumulate(self) -> None:
        self.objective.zero_()
        sizes = self.sizes.long()  # float32 cannot count beyond 2^24
        for _, rows, ids, squared in self._assign(self.trained):
            self.sums.index_add_(0, ids, rows)
            sizes.index_add_(0, ids, torch.ones_like(ids))
            self.objective += squared.sum(dtype=torch.float64)
        self.sizes.copy_(sizes)

    def _normalise(self) -> None:
        if self.kmeans.spherical:
            norms = self.centroids.norm(dim=1, keepdim=True)
            self.centroids.div_(norms.clamp_min_(1e-20))

    def _assign(
        self, places: Tensor | None
    ) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
        """Assign rows, all or those at some places, a part at a time.

        Yields the part, its rows (n, D), their clusters (n,), int64, and
        squared distances (n,).
        """
        squares = torch.einsum('kd,kd->k', self.centroids, self.centroids)
        number, start = len(self.rows if places is None else places), 0
        while start < number:
            part = slice(start, start + max(self._part_size(), 1))
            found = None
            try:
                rows = self.rows[part if places is None else places[part]]
                found = self._nearest(rows, squares)
            except Exception as error:
                if not is_out_of_memory(error) or self._part_size() <= 1:
                    raise
            if found is None:  # not in the except, which holds on to memory
                self._shrink()
                continue
            yield part, rows, *found
            start = part.stop

    def _part_size(self) -> int:
        values = self.rows.shape[1] + (4 if self.on_cpu else self.k)
        size = min(self.kmeans.scratch * 2**18 // values, _ROWS_AT_ONCE)
        return size >> self.kmeans.halvings

    def _shrink(self) -> None:
        if not self.kmeans.halvings:
            print_log(
                f'k-means into {self.k} clusters lacks memory on '
                f'{self.device}: it goes on with smaller parts than '
                f'kmeans.scratch={self.kmeans.scratch} MiB.',
                logger='current',
                level=logging.WARNING,
            )
        self.kmeans.halvings += 1

    def _nearest(self, rows: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
        """Return clusters and squared distances of rows; |c|^2 is given."""
        spherical = self.kmeans.spherical
        if self.on_cpu:
            faiss = import_faiss()
            found = faiss.knn(
                rows.numpy(),
                self.centroids.numpy(),
                k=1,
                metric=faiss.METRIC_INNER_PRODUCT
                if spherical
                else faiss.METRIC_L2,
            )
            scores, ids = (torch.from_numpy(array[:, 0]) for array in found)
            if not spherical:
                return ids, scores
        else:
            products = rows @ self.centroids.T
            if not spherical:  # |x - c|^2 = |x|^2 - 2 (x c - |c|^2 / 2)
                products -= squares / 2
            scores, ids = products.max(dim=1)
            if not spherical:
                scores += squares[ids] / 2
        squared = torch.einsum('nd,nd->n', rows, rows) + squares[ids]
        return ids, squared.sub_(scores, alpha=2).clamp_min_(0)


def split_clusters(
    centroids: Tensor, sizes: np.ndarray, rng: np.random.Generator
) -> None:
    """Give empty clusters the halves of others, as faiss does.

    A cluster of n members is drawn with a probability proportional to n - 1.
    Its centroid and the copy of it move apart by 1/1024 of each coordinate,
    in turn up and down, and each takes half of the members.

    Args:
        centroids (Tensor): Shape (K, D), float; changed in place.
        sizes (np.ndarray): Members, (K,), int64, K or more in all; changed.
        rng (np.random.Generator): Of the draws.
    """
    moved = torch.ones_like(centroids[0])
    moved[::2] += _EPSILON
    moved[1::2] -= _EPSILON
    while len(empty := np.flatnonzero(sizes == 0)):
        odds = np.maximum(sizes - 1, 0).cumsum()
        drawn = rng.integers(odds[-1], size=len(empty))
        # Those that are drawn twice wait for the next round.
        large = np.unique(odds.searchsorted(drawn, side='right'))
        empty = empty[: len(large)]
        sizes[empty] = sizes[large] // 2
        sizes[large] -= sizes[empty]
        halves = centroids[large]
        centroids[empty] = halves * moved
        centroids[large] = halves * (2 - moved)
