# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Accuracy of a k-nearest-neighbour classifier on frozen features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union

from mmpretrain.registry import METRICS

from ..functional import knn_predict
from ..functional._checks import require
from .embedding_metric import EmbeddingMetric


@METRICS.register_module()
class KNNAccuracy(EmbeddingMetric):
    """Accuracy of the weighted k-nearest-neighbour classifier.

    The k nearest bank samples of each query vote with weight
    exp(v.v' / temperature), on l2-normalised features (section 4.2 of
    `PCL <https://arxiv.org/abs/2005.04966>`_). Without a bank the queries are
    classified by each other, each without itself (leave-one-out).

    The results are ``knn/k20``, ``knn/k200`` and so on: shares in [0, 1].

    Args:
        k (int or sequence of int): Numbers of neighbours.
            Defaults to (20, 200).
        temperature (float): Temperature of the weights. Defaults to 0.1.
        features (str): ``'feature'``, of the backbone, or ``'embedding'``,
            after the neck. Defaults to ``'feature'``.
        **kwargs: ``collect_device``, ``prefix`` and ``collect_dir``, see
            :class:`EmbeddingMetric`.

    Raises:
        ValueError: If k or the temperature is out of range. When evaluated:
            if k exceeds the bank, or a label is missing.
        ImportError: If faiss is missing.
    """

    default_prefix: Optional[str] = 'knn'

    def __init__(
        self,
        k: Union[int, Sequence[int]] = (20, 200),
        temperature: float = 0.1,
        features: str = 'feature',
        **kwargs,
    ) -> None:
        super().__init__(field=features, labelled=True, **kwargs)
        self.k = tuple([k] if isinstance(k, int) else k)
        if not self.k or any(
            not isinstance(number, int) or number < 1 for number in self.k
        ):
            raise ValueError(
                f'KNNAccuracy.k must be one or more integers >= 1, got {k!r}.'
            )
        if temperature <= 0:
            raise ValueError(
                'KNNAccuracy.temperature must be greater than 0, '
                f'got {temperature}.'
            )
        self.temperature = temperature
        require('faiss', 'faiss-cpu', 'KNNAccuracy')

    def check_sizes(self, bank: int, query: int) -> None:
        """See :meth:`EmbeddingMetric.check_sizes`."""
        available = bank or query - 1
        if max(self.k) > available:
            source = (
                f'a bank of {bank} samples'
                if bank
                else f'{query} samples without a bank (leave-one-out)'
            )
            raise ValueError(
                f'KNNAccuracy.k={max(self.k)} is too large for {source}: set '
                f'KNNAccuracy.k to at most {available}, or give '
                'bank_dataloader a larger data set.'
            )

    def compute_metrics(self, results: list[dict]) -> dict:
        """Classify the queries.

        Args:
            results (list[dict]): What :meth:`process` kept.

        Returns:
            dict[str, float]: The share of queries that is right, for each k.
        """
        query, bank = (self.select(results, s) for s in ('query', 'bank'))
        if query is None:
            raise ValueError('KNNAccuracy got no query samples.')
        references = query if bank is None else bank
        self.check_sizes(
            0 if bank is None else len(bank['labels']), len(query['labels'])
        )
        predictions = knn_predict(
            query['vectors'],
            references['vectors'],
            references['labels'],
            num_classes=int(references['labels'].max()) + 1,
            k=self.k,
            temperature=self.temperature,
            exclude_self=bank is None,
        )
        return {
            f'k{k}': (predictions[k] == query['labels']).double().mean().item()
            for k in self.k
        }
