# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""NEMD with the measures that it must be read with."""

import logging
from typing import Any

from mmengine.logging import print_log
from mmpretrain.registry import METRICS
from torch import Tensor

from pauc_mm.evaluation.functional import (
    NEMDResult,
    cluster_entropy,
    effective_rank,
    intra_group_variance,
    nemd,
    uniformity,
    unique_prototypes,
)
from pauc_mm.evaluation.functional.checks import as_unit_vectors
from pauc_mm.evaluation.functional.nemd import check_options
from pauc_mm.utils.checks import check_choice, check_integer
from pauc_mm.utils.require import require

from .clusters import check_num_clusters, cluster
from .embedding_metric import EmbeddingMetric


@METRICS.register_module()
class NEMD(EmbeddingMetric):
    """Normalised earth mover's distance between groups of embeddings.

    See :func:`pauc_mm.evaluation.functional.nemd` (eq. 3 of `PAUC
    <https://arxiv.org/abs/2210.10194>`_). The value alone does not rank
    embeddings: it is 0 for a total collapse and largest for point-like groups
    far apart. It is therefore reported with other measures, under the prefix
    ``nemd``:

    - ``value``, ``standard_error``: NEMD and its standard error;
    - ``uniformity``: log E exp(-2 ||x - y||^2); 0 is a total collapse;
    - ``intra_variance``: near 0 the groups have coagulated into points;
    - ``effective_rank``: of the centred unit vectors;
    - ``unique_share``: share of the groups' mean directions that are at least
      a cosine distance of 0.025 from each other;
    - ``group_entropy``: evenness of the groups' sizes, in [0, 1];
    - ``num_groups``, ``num_pairs``, ``mean_members``: size of the sample.

    Only query samples count.

    Args:
        groups (str): ``'labels'`` (gt_label) or ``'clusters'`` (spherical
            k-means on the embeddings; needs no labels).
        num_clusters (int, optional): For ``groups='clusters'``; None takes one
            for every 20 samples, 100 at most.
        field (str): ``'embedding'`` (neck) or ``'feature'`` (backbone).
        num_pairs (int, optional): Most pairs of groups; None takes all.
        num_members (int): Most members used of a group.
        max_samples (int): Most samples for uniformity and effective rank.
        seed (int): Seed of all draws and of k-means.
        solver (str): See :func:`pauc_mm.evaluation.functional.nemd`.
        **kwargs: See :class:`EmbeddingMetric`.

    Raises:
        ValueError: If an argument is out of range. When evaluated: if fewer
            than two groups have members, or a label is missing.
        ImportError: If POT is missing.
    """

    default_prefix: str | None = 'nemd'

    def __init__(
        self,
        groups: str = 'labels',
        num_clusters: int | None = None,
        field: str = 'embedding',
        num_pairs: int | None = 2000,
        num_members: int = 64,
        max_samples: int = 10000,
        seed: int = 0,
        solver: str = 'emd',
        **kwargs: Any,
    ) -> None:
        super().__init__(
            field=field,
            labelled=groups == 'labels',
            splits=('query',),
            **kwargs,
        )
        check_choice('NEMD.groups', groups, ('labels', 'clusters'))
        self.groups = groups
        if num_clusters is not None:
            check_integer('NEMD.num_clusters', num_clusters, 2)
            if groups == 'labels':
                raise ValueError(
                    f'NEMD.num_clusters={num_clusters} has no meaning with '
                    "groups='labels'. Leave it out or set groups='clusters'."
                )
        self.num_clusters = num_clusters
        check_integer('NEMD.max_samples', max_samples, 2)
        check_options(num_pairs, num_members, solver)
        self.seed = seed
        self.options: dict[str, Any] = dict(
            num_pairs=num_pairs,
            num_members=num_members,
            seed=seed,
            solver=solver,
        )
        self.sampling: dict[str, Any] = dict(
            max_samples=max_samples, seed=seed
        )
        require('ot', 'POT', 'NEMD')
        if groups == 'clusters':
            require('faiss', 'faiss-cpu', "NEMD with groups='clusters'")

    def check_sizes(self, bank: int, query: int) -> None:
        """See :meth:`EmbeddingMetric.check_sizes`."""
        super().check_sizes(bank, query)
        check_num_clusters('NEMD', self.num_clusters, query)

    def compute_metrics(self, results: list[dict]) -> dict:
        """Measure the embeddings."""
        query = self.queries(results)
        self.check_sizes(0, len(query['vectors']))
        points = as_unit_vectors(query['vectors'], self.field)
        groups = query['labels']
        if self.groups == 'clusters':
            groups = cluster(
                query['vectors'], self.num_clusters, self.seed, self.field
            )
        result = self._nemd(points, groups)
        sizes, means = _sizes_and_means(points, groups)
        return dict(
            value=result.value,
            standard_error=result.standard_error,
            uniformity=uniformity(points, **self.sampling),
            intra_variance=intra_group_variance(points, groups),
            effective_rank=effective_rank(points, **self.sampling),
            unique_share=unique_prototypes(means, (0.025,))[0.025],
            group_entropy=cluster_entropy(sizes),
            num_groups=result.num_groups,
            num_pairs=result.num_pairs,
            mean_members=result.mean_members,
        )

    def _nemd(self, points: Tensor, groups: Tensor) -> NEMDResult:
        """Measure, or explain why clusters leave nothing to measure."""
        several = self.groups == 'labels' or groups.any()
        # A smaller variance is float32's rounding of one point.
        if several or intra_group_variance(points, groups) > 1e-10:
            return nemd(points, groups, **self.options)
        text = 'NEMD: all embeddings are one point (one cluster): value is 0.'
        print_log(text, logger='current', level=logging.WARNING)
        return NEMDResult(0.0, 0.0, 0, 0, 1, 0, 0.0, 0)


def _sizes_and_means(points: Tensor, groups: Tensor) -> tuple:
    """Return the sizes (G,) and mean directions (G', D) of the groups."""
    assigned = groups >= 0
    ids, inverse, sizes = groups[assigned].unique(
        return_inverse=True, return_counts=True
    )
    means = points.new_zeros(len(ids), points.shape[1])
    means.index_add_(0, inverse, points[assigned]).div_(sizes[:, None])
    # A group whose members cancel out has no direction.
    directed = means[means.norm(dim=1) > 1e-9]
    return sizes, directed if len(directed) else points[:1]
