# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Spread of embeddings on the sphere, without labels or groups."""

import logging
from typing import Any

from mmengine.logging import print_log
from mmpretrain.registry import METRICS
from torch import Tensor

from pauc_mm.evaluation.functional import singular_values, uniformity
from pauc_mm.evaluation.functional.checks import as_unit_vectors, subsample
from pauc_mm.evaluation.functional.spectral import rank_of_spectrum
from pauc_mm.utils.checks import check_integer

from .embedding_metric import EmbeddingMetric


@METRICS.register_module()
class EmbeddingGeometry(EmbeddingMetric):
    """Cheap signs of a collapse that need no labels.

    They measure the l2-normalised query vectors. The prefix is
    ``geometry_embedding`` or ``geometry_feature``, so that one of each can
    be used side by side:

    - ``uniformity``: log E exp(-2 ||x - y||^2); 0 is a total collapse;
    - ``effective_rank``: of the centred vectors; 0 is a total collapse and
      1 a line;
    - ``top_share``: share of the variance along the first principal axis;
      near 1 is a collapse onto a line. A point gives 1, with a warning.

    Args:
        field (str): ``'embedding'`` (neck) or ``'feature'`` (backbone).
        max_samples (int): Most samples to measure on.
        seed (int): Seed of their draw.
        **kwargs: See :class:`EmbeddingMetric`.

    Raises:
        ValueError: If an argument is out of range. When evaluated: if there
            are fewer than two samples, or one is not finite or zero.
    """

    def __init__(
        self,
        field: str = 'embedding',
        max_samples: int = 10000,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            field=field, labelled=False, splits=('query',), **kwargs
        )
        self.prefix: str = self.prefix or f'geometry_{field}'
        self.max_samples = check_integer(
            'EmbeddingGeometry.max_samples', max_samples, 2
        )
        self.seed = seed

    def compute_metrics(self, results: list[dict]) -> dict:
        """Measure the embeddings."""
        query = self.queries(results)
        self.check_sizes(0, len(query['vectors']))
        points = as_unit_vectors(query['vectors'], self.field)
        points = subsample(points, self.max_samples, self.seed)
        values = singular_values(points)
        return dict(
            uniformity=uniformity(points),
            effective_rank=rank_of_spectrum(values),
            top_share=self._top_share(values.square()),
        )

    def _top_share(self, variances: Tensor) -> float:
        if variances[0] > 0:
            return (variances[0] / variances.sum()).item()
        text = f'EmbeddingGeometry: all `{self.field}` vectors are one point.'
        print_log(text, logger='current', level=logging.WARNING)
        return 1.0
