# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.runner.prototype_usage import prototype_usage
from pauc_mm.evaluation.functional import (
    intra_group_variance,
    unique_prototypes,
)
from pauc_mm.evaluation.functional.checks import as_unit_vectors
from pauc_mm.evaluation.metrics.clusters import choose_num_clusters
from pauc_mm.evaluation.metrics.embedding_metric import EmbeddingMetric

EPSILONS = (0.025, 0.1, 0.25, 0.5)


class PrototypeCollapse(EmbeddingMetric):
    """Collapse of a model's own prototypes, and of k-means'.

    Measured on the embeddings of the bank, the training images. Methods
    differ in their prototypes, and some have none, so there are two groups
    of metrics:

    - of the model's largest set: ``own_number``, ``own_used`` (share that is
      nearest to some image), ``own_unique_0.025`` and so on, see
      :func:`~experiments.runner.prototype_usage`. Left out for a
      model without prototypes;
    - of spherical k-means with the same K for all models: ``unique_0.025``
      and so on, where an empty cluster counts as a copy, and
      ``intra_variance``, near 0 where the members of a prototype have become
      one point.

    Args:
        sets (sequence of Tensor): The model's prototypes, each (K, D).
        num_clusters (int, optional): K of k-means. None: one for every 20
            images, 100 at most. Defaults to None.
        **kwargs: ``collect_device``, ``prefix`` and ``collect_dir``, see
            :class:`EmbeddingMetric`.
    """

    default_prefix: str | None = 'prototypes'

    def __init__(
        self,
        sets: Sequence[Tensor],
        num_clusters: int | None = None,
        **kwargs,
    ) -> None:
        super().__init__(
            field='embedding', labelled=False, splits=('bank',), **kwargs
        )
        self.sets = list(sets)
        self.num_clusters = num_clusters

    def compute_metrics(self, results: list[dict]) -> dict:
        """Measure the prototypes.

        Raises:
            ValueError: If there is no bank, or an embedding is not finite or
                zero.
        """
        bank = self.select(results, 'bank')
        if bank is None:
            raise ValueError(
                'PrototypeCollapse measures on the training images: give '
                'val_cfg.bank_dataloader.'
            )
        points = as_unit_vectors(bank['vectors'], self.field, torch.float32)
        return {**self._own(points), **self._of_kmeans(points)}

    def _own(self, points: Tensor) -> dict:
        if not self.sets:
            return {}
        largest = max(self.sets, key=len)
        usage = prototype_usage(largest, points, EPSILONS)
        metrics = dict(
            own_number=usage['prototypes'], own_used=usage['used_share']
        )
        for epsilon, share in zip(EPSILONS, usage['unique']):
            metrics[f'own_unique_{epsilon:g}'] = share
        return metrics

    def _of_kmeans(self, points: Tensor) -> dict:
        from pauc_mm.clustering import FaissKMeans

        number = choose_num_clusters(self.num_clusters, len(points))
        clusters = FaissKMeans(spherical=True).fit(points.numpy(), number, 0)
        centroids = F.normalize(torch.from_numpy(clusters.centroids), dim=1)
        unique = unique_prototypes(centroids, EPSILONS)
        # FaissKMeans drops empty clusters, as of coinciding points.
        kept = len(centroids) / number
        metrics = {
            f'unique_{e:g}': kept * share for e, share in unique.items()
        }
        groups = torch.as_tensor(clusters.assignments)
        metrics['intra_variance'] = intra_group_variance(points, groups)
        return metrics
