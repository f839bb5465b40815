# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

from experiments.runner.provenance import usable_cores
from pauc_mm.evaluation.functional import knn_predict
from pauc_mm.evaluation.metrics.embedding_metric import EmbeddingMetric
from pauc_mm.transfer.linear_probe import fit_linear_probe
from pauc_mm.transfer.low_shot import (
    SINGLE_SHOT_COST,
    LowShotOptions,
    low_shot_svm,
)

# Beyond these all pairs of training images, or many draws, take hours.
_MAX_LEAVE_ONE_OUT = 100_000
_MAX_CLASSES = 100


class FrozenAccuracy(EmbeddingMetric):
    """Accuracy of several classifiers on frozen features.

    The bank holds the training images, the queries are held out:

    - ``knn``: weighted k nearest neighbours, see
      :class:`~pauc_mm.evaluation.metrics.KNNAccuracy`;
    - ``knn_train``: the same of the training images, each classified by the
      others. A learning rate may be chosen by it: it looks at no held-out
      image. Left out beyond 100,000 images;
    - ``linear``: see :func:`~pauc_mm.transfer.linear_probe.fit_linear_probe`;
    - ``shot1``, ``shot5`` and so on: linear SVMs on so many labelled images a
      class, mean over the draws (a single one beyond 100 classes), see
      :func:`~pauc_mm.transfer.low_shot.low_shot_svm`. The cost is that of
      PCL's code: choosing it takes longer than all the rest, and with few
      images chooses badly.

    Args:
        k (int): Number of neighbours. Defaults to 20.
        shots (sequence of int): Labelled images a class, none to leave these
            out. Defaults to (1, 5, 10).
        draws (int): Draws of those images. Defaults to 10.
        device (str): Device of the linear probe. Defaults to 'cpu'.
        **kwargs: ``collect_device``, ``prefix`` and ``collect_dir``, see
            :class:`EmbeddingMetric`.
    """

    default_prefix: str | None = 'accuracy'

    def __init__(
        self,
        k: int = 20,
        shots: Sequence[int] = (1, 5, 10),
        draws: int = 10,
        device: str = 'cpu',
        **kwargs,
    ) -> None:
        super().__init__(field='feature', labelled=True, **kwargs)
        self.k, self.shots, self.draws = k, tuple(shots), draws
        self.device = device

    def compute_metrics(self, results: list[dict]) -> dict:
        """Train and test all classifiers.

        Raises:
            ValueError: If there is no bank or no query, a class has fewer
                images than the largest of ``shots``, or features are not
                finite or zero.
        """
        bank, query = (self.select(results, s) for s in ('bank', 'query'))
        if bank is None or query is None:
            raise ValueError(
                'FrozenAccuracy needs labelled training images and held-out '
                'ones: give val_cfg.bank_dataloader and val_dataloader.'
            )
        train = bank['vectors'], bank['labels']
        test = query['vectors'], query['labels']
        classes = int(max(train[1].max(), test[1].max())) + 1
        selection = fit_linear_probe(
            *train, num_classes=classes, device=self.device
        )
        metrics = dict(
            knn=self._knn(test, train, classes),
            linear=selection.probe.accuracies(*test, top=(1,))[1],
        )
        if len(train[1]) <= _MAX_LEAVE_ONE_OUT:
            metrics['knn_train'] = self._knn(
                train, train, classes, exclude_self=True
            )
        if not self.shots:
            return metrics
        names = [f'class {number}' for number in range(classes)]
        many = classes > _MAX_CLASSES
        low_shot = low_shot_svm(
            *train,
            *test,
            names,
            LowShotOptions(
                shots=self.shots,
                costs=(SINGLE_SHOT_COST,),
                draws=1 if many else self.draws,
                jobs=usable_cores() if many else 1,
            ),
        )
        for row in low_shot['rows']:
            metrics[f'shot{row["k"]}'] = row['mean']
        return metrics

    def _knn(self, queries, references, classes: int, **options) -> float:
        predictions = knn_predict(
            queries[0], *references, num_classes=classes, k=[self.k], **options
        )
        return (predictions[self.k] == queries[1]).double().mean().item()
