# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Agreement of embeddings, and of their clusters, with labels."""

from typing import Any

import torch
from mmpretrain.registry import METRICS

from pauc_mm.evaluation.functional import (
    adjusted_mutual_information,
    cluster_entropy,
    feature_label_information,
    group_label_information,
)
from pauc_mm.utils.checks import check_integer
from pauc_mm.utils.require import require

from .clusters import check_num_clusters, choose_num_clusters, cluster
from .embedding_metric import EmbeddingMetric


@METRICS.register_module()
class ClusterAgreement(EmbeddingMetric):
    """Agreement of k-means clusters of the embeddings with the labels.

    After table 7 and figure 3b of `PCL <https://arxiv.org/abs/2005.04966>`_,
    under the prefix ``clusters``:

    - ``ami``: adjusted mutual information of clusters and labels, about 0
      for chance and 1 for the same partition;
    - ``information``: their mutual information in nats, which grows with the
      number of clusters;
    - ``feature_information``: that of the embeddings themselves and the
      labels, estimated, in nats;
    - ``label_entropy``: entropy of the labels in nats, the ceiling of both;
    - ``entropy``: evenness of the clusters' sizes, in [0, 1]; clusters that
      stayed empty count, so that a total collapse is 0;
    - ``num_clusters``: clusters with members.

    Only query samples count; those with a negative label are clustered, but
    not compared.

    Args:
        num_clusters (int, optional): Number of clusters. None takes one for
            every 20 samples, 100 at most.
        field (str): ``'embedding'`` (neck) or ``'feature'`` (backbone).
        k (int): Neighbours in the class, for ``feature_information``.
        max_samples (int): Most samples for ``feature_information``.
        seed (int): Seed of k-means and of their draw.
        **kwargs: See :class:`EmbeddingMetric`.

    Raises:
        ValueError: If an argument is out of range. When evaluated: if a label
            is missing, all are one class, or there are fewer samples than
            clusters.
        ImportError: If faiss or scikit-learn is missing.
    """

    default_prefix: str | None = 'clusters'

    def __init__(
        self,
        num_clusters: int | None = None,
        field: str = 'embedding',
        k: int = 3,
        max_samples: int = 10000,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            field=field, labelled=True, splits=('query',), **kwargs
        )
        if num_clusters is not None:
            check_integer('ClusterAgreement.num_clusters', num_clusters, 2)
        check_integer('ClusterAgreement.k', k, 1)
        check_integer('ClusterAgreement.max_samples', max_samples, 4)
        self.num_clusters = num_clusters
        self.estimate = dict(k=k, max_samples=max_samples, seed=seed)
        require('faiss', 'faiss-cpu', 'ClusterAgreement')
        require('sklearn.metrics', 'scikit-learn', 'ClusterAgreement')

    def check_sizes(self, bank: int, query: int) -> None:
        """See :meth:`EmbeddingMetric.check_sizes`."""
        super().check_sizes(bank, query)
        check_num_clusters('ClusterAgreement', self.num_clusters, query)

    def compute_metrics(self, results: list[dict]) -> dict:
        """Cluster the embeddings and compare."""
        query = self.queries(results)
        vectors, labels = query['vectors'], query['labels']
        self.check_sizes(0, len(vectors))
        clusters = cluster(
            vectors, self.num_clusters, self.estimate['seed'], self.field
        )
        asked = choose_num_clusters(self.num_clusters, len(vectors))
        sizes = torch.bincount(clusters, minlength=asked)
        return dict(
            ami=adjusted_mutual_information(clusters, labels),
            information=group_label_information(clusters, labels),
            feature_information=feature_label_information(
                vectors, labels, **self.estimate
            ),
            label_entropy=group_label_information(labels, labels),
            entropy=cluster_entropy(sizes),
            num_clusters=int((sizes > 0).sum()),
        )
