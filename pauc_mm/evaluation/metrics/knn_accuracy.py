# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Accuracy of a k-nearest-neighbour classifier on frozen features."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import DATASETS, METRICS
from torch import Tensor

from pauc_mm.datasets.long_tail import head_middle_tail
from pauc_mm.evaluation.functional import knn_predict
from pauc_mm.utils.checks import check_integer, check_positive
from pauc_mm.utils.require import require

from .embedding_metric import EmbeddingMetric


@METRICS.register_module()
class KNNAccuracy(EmbeddingMetric):
    """Accuracy of the weighted k-nearest-neighbour classifier.

    The k nearest bank samples of each query vote with weight
    exp(v.v' / temperature), on l2-normalised features (section 4.2 of
    `PCL <https://arxiv.org/abs/2005.04966>`_). Without a bank the queries are
    classified by each other, each without itself (leave-one-out).

    The results are ``knn/k20``, ``knn/k200`` and so on: shares in [0, 1].
    ``class_groups`` adds ``knn/k20_head``, ``knn/k20_tail`` and so on, by the
    groups' names: the mean over the classes of a group of the share of a
    class's queries that is right.

    Args:
        k (int or sequence of int): Numbers of neighbours.
        temperature (float): Temperature of the weights.
        field (str): ``'feature'`` (backbone) or ``'embedding'`` (neck).
        class_groups (dict or str, optional): Labels of each group by its name,
            such as ``dict(head=[2, 8], tail=[0, 5])``; classes may be left
            out. ``'train'`` forms head, middle and tail by the number of
            images in the training set, see :func:`pauc_mm.datasets.
            long_tail.head_middle_tail`.
        **kwargs: See :class:`EmbeddingMetric`.

    Raises:
        ValueError: If k or the temperature is out of range, a group has no
            classes, or a class is in two groups. When evaluated: if k exceeds
            the bank, a label is missing, or a group's class has no queries.
        ImportError: If faiss is missing.
    """

    default_prefix: str | None = 'knn'

    def __init__(
        self,
        k: int | Sequence[int] = (20, 200),
        temperature: float = 0.1,
        field: str = 'feature',
        class_groups: dict[str, Sequence[int]] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(field=field, labelled=True, **kwargs)
        self.k = (k,) if isinstance(k, int) else tuple(k)
        if not self.k:
            raise ValueError('KNNAccuracy.k must name one K or more, got ().')
        for number in self.k:
            check_integer('KNNAccuracy.k', number, 1)
        self.temperature = check_positive(
            'KNNAccuracy.temperature', temperature
        )
        self.groups_of_train = class_groups == 'train'
        self.class_groups: dict[str, list[int]] | None = None
        if class_groups is not None and not self.groups_of_train:
            self.class_groups = _checked(class_groups)
        require('faiss', 'faiss-cpu', 'KNNAccuracy')

    def check_sizes(self, bank: int, query: int) -> None:
        """See :meth:`EmbeddingMetric.check_sizes`."""
        available = bank or query - 1
        if max(self.k) > available:
            raise ValueError(
                f'KNNAccuracy.k={max(self.k)} is too large for a bank of '
                f'{bank} samples (without one: for the other of {query} '
                f'queries): set it to at most {available}, or give a larger '
                'bank_dataloader.'
            )

    def prepare(self, runner: Runner, bank: int, query: int) -> None:
        """See :meth:`EmbeddingMetric.prepare`; forms the training's groups.

        Raises:
            ValueError: If k is too large, or the training set has no labels,
                fewer than three classes or classes of one size.
        """
        super().prepare(runner, bank, query)
        if not self.groups_of_train:
            return
        try:
            counts = training_counts(runner).tolist()
            self.class_groups = head_middle_tail(counts)
        except ValueError as error:
            message = f"KNNAccuracy.class_groups='train': {error}"
            raise ValueError(message) from error

    def compute_metrics(self, results: list[dict]) -> dict:
        """Classify the queries."""
        query, bank = self.queries(results), self.select(results, 'bank')
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
        labels = query['labels']
        right = {k: (predictions[k] == labels).double() for k in self.k}
        metrics = {f'k{k}': right[k].mean().item() for k in self.k}
        for name, classes in self._groups(labels).items():
            for k in self.k:
                shares = [right[k][labels == c].mean() for c in classes]
                metrics[f'k{k}_{name}'] = (sum(shares) / len(shares)).item()
        return metrics

    def _groups(self, labels: Tensor) -> dict:
        """Return the groups, if the queries have all their classes."""
        if self.groups_of_train and self.class_groups is None:
            raise ValueError(
                "KNNAccuracy.class_groups='train' needs val_cfg = "
                "dict(type='EmbeddingValLoop') (test_cfg: 'EmbeddingTestLoop')"
                ', which gives it the training set. With another loop name '
                'the classes, such as dict(head=[2, 8], tail=[0, 5]).'
            )
        present = set(labels.tolist())
        for name, classes in (self.class_groups or {}).items():
            absent = [c for c in classes if c not in present]
            if absent:
                raise ValueError(
                    f'KNNAccuracy.class_groups[{name!r}]: no query is of '
                    f'class {absent[0]}, only of {min(present)} to '
                    f'{max(present)}.'
                )
        return self.class_groups or {}


def _checked(class_groups: dict | str) -> dict[str, list[int]]:
    """Copy the groups, or refuse them."""
    key = 'KNNAccuracy.class_groups'
    if not isinstance(class_groups, dict) or not class_groups:
        raise ValueError(
            f"{key} must be 'train' or a dict of the labels of each group, "
            f'such as dict(head=[2, 8], tail=[0, 5]), got {class_groups!r}.'
        )
    owner: dict[int, str] = {}
    for name, classes in class_groups.items():
        if not isinstance(classes, (list, tuple, range)) or not classes:
            raise ValueError(
                f'{key}[{name!r}] must be a list of one or more labels, got '
                f'{classes!r}.'
            )
        for label in classes:
            check_integer(f'{key}[{name!r}]', label, 0)
            if label in owner:
                raise ValueError(
                    f'{key}: class {label} is in {owner[label]!r} and again '
                    f'in {name!r}; a class belongs to one group, once.'
                )
            owner[label] = name
    return {name: list(classes) for name, classes in class_groups.items()}


def training_counts(runner: Runner) -> np.ndarray:
    """Count the images of each class in the training set of a run, (C,).

    A test builds the training set from the config.

    Raises:
        ValueError: If there is no training set, or it has no labels.
    """
    loader = runner._train_dataloader
    if isinstance(runner._train_loop, BaseLoop):
        loader = runner._train_loop.dataloader
    if loader is None:
        raise ValueError(
            'there is no training set to count. Set train_dataloader, or '
            'name the classes of each group.'
        )
    dataset = loader['dataset'] if isinstance(loader, dict) else loader.dataset
    if isinstance(dataset, dict):
        dataset = DATASETS.build(dataset)
    try:
        labels = dataset.get_gt_labels()
    except (AttributeError, KeyError) as error:
        raise ValueError(
            f'the training set, a {type(dataset).__name__}, has no labels. '
            'Name the classes of each group.'
        ) from error
    # Classes without a single image count, too.
    classes = getattr(dataset, 'metainfo', {}).get('classes') or ()
    return np.bincount(labels, minlength=len(classes))
