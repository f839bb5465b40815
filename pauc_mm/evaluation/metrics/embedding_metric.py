# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the metrics on frozen embeddings have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import (
    broadcast_object_list,
    collect_results,
    get_world_size,
    is_main_process,
)
from mmengine.evaluator import BaseMetric
from torch import Tensor

from pauc_mm.utils import raise_together

SPLITS = ('bank', 'query')


class EmbeddingMetric(BaseMetric):
    """Base of the metrics that compare the vectors of all samples.

    A sample belongs to the labelled ``'bank'`` or to the ``'query'`` samples
    that are evaluated, according to its entry ``split`` (see
    :class:`EmbeddingValLoop`), and is a query if it has none. The vectors are
    kept batch by batch as float32 on the CPU. With several processes they are
    brought into the order of the data set, so that the result is that of one
    process, and an error on the main process stops all.

    Args:
        field (str): Entry of the data samples that holds the vector:
            ``'feature'`` (backbone) or ``'embedding'`` (after the neck).
        labelled (bool): Whether every sample must have one ``gt_label``.
        splits (sequence of str): Splits to keep. Defaults to both.
        collect_device (str): Device used to collect the results of several
            processes, 'cpu' or 'gpu'. Defaults to 'cpu'.
        prefix (str, optional): Prefix of the names of the results.
            Defaults to None, the class's own.
        collect_dir (str, optional): Directory shared by the processes, for
            ``collect_device='cpu'``. Defaults to None.

    Raises:
        ValueError: If ``field`` is neither of the two.
    """

    def __init__(
        self,
        field: str,
        labelled: bool,
        splits: Sequence[str] = SPLITS,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        if field not in ('feature', 'embedding'):
            raise ValueError(
                f"{self.name} can use 'feature' or 'embedding' of a sample, "
                f'got {field!r}.'
            )
        self.field = field
        self.labelled = labelled
        self.splits = tuple(splits)

    @property
    def name(self) -> str:
        """Name of the metric in messages."""
        return type(self).__name__

    def check_sizes(self, bank: int, query: int) -> None:
        """Refuse data sets that are too small, before anything is run.

        Args:
            bank (int): Number of bank samples, 0 without a bank.
            query (int): Number of query samples.

        Raises:
            ValueError: If the metric cannot be computed on so few.
        """

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the vectors of a batch, with labels and sample indices.

        Args:
            data_batch (Any): Unused.
            data_samples (sequence of dict): Samples with the vector, shape
                (D,), and, if needed, ``gt_label``, shape (1,).

        Raises:
            ValueError: If a sample lacks its vector or its label, or its
                ``split`` is unknown.
        """
        by_split: dict = {split: [] for split in SPLITS}
        for sample in data_samples:
            split = sample.get('split', 'query')
            if split not in by_split:
                raise ValueError(
                    f'split must be one of {SPLITS}, got {split!r} for '
                    f'{_describe(sample)}.'
                )
            by_split[split].append(sample)
        for split in self.splits:
            if by_split[split]:
                self.results.append(self._stack(split, by_split[split]))

    def _stack(self, split: str, samples: list[dict]) -> dict:
        vectors = [self._vector(sample) for sample in samples]
        labels = None
        if self.labelled:
            labels = torch.tensor([self._label(sample) for sample in samples])
        return dict(
            split=split,
            vectors=torch.stack(vectors).detach().to('cpu', torch.float32),
            labels=labels,
            names=[_describe(sample) for sample in samples],
        )

    def _vector(self, sample: dict) -> Tensor:
        vector = sample.get(self.field)
        if not isinstance(vector, Tensor) or vector.ndim != 1:
            raise ValueError(
                f'{self.name} needs a vector `{self.field}` in every data '
                f'sample, and {_describe(sample)} has none. Use '
                "val_cfg = dict(type='EmbeddingValLoop') (test_cfg: "
                "'EmbeddingTestLoop'), or a model that predicts it."
            )
        return vector

    def _label(self, sample: dict) -> int:
        label = sample.get('gt_label')
        if label is None or torch.as_tensor(label).numel() != 1:
            raise ValueError(
                f'{self.name} needs one gt_label in every data sample, and '
                f'{_describe(sample)} has {label}. Evaluate on labelled data '
                'whose pipeline packs gt_label, or remove the metric.'
            )
        return int(torch.as_tensor(label))

    def evaluate(self, size: int) -> dict:
        """Collect the vectors of all processes and compute the metric.

        Args:
            size (int): Number of samples without those that a sampler
                repeated to give each process the same number.

        Returns:
            dict: The results, the same on every process.
        """
        parts = collect_results(
            [self.results],
            get_world_size(),
            self.collect_device,
            **({'tmpdir': self.collect_dir} if self.collect_dir else {}),
        )
        error, metrics = None, [None]
        if is_main_process():
            try:
                metrics = [self._prefixed(self._merge(parts, size))]
            except Exception as caught:
                error = caught
        self.results.clear()
        raise_together(error, self.name)
        broadcast_object_list(metrics)
        return metrics[0]

    def _prefixed(self, results: list[dict]) -> dict:
        metrics = self.compute_metrics(results)
        return {f'{self.prefix}/{key}': v for key, v in metrics.items()}

    def _merge(self, parts: list[list[dict]], size: int) -> list[dict]:
        """Bring the results of all processes into the order of the data."""
        merged = []
        for split in SPLITS:
            chosen = [
                [r for r in part if r['split'] == split] for part in parts
            ]
            if not any(chosen):
                continue
            counts = [sum(len(r['names']) for r in part) for part in chosen]
            # Sample j of process r is number j * world_size + r of the data.
            turn = np.concatenate([np.arange(count) for count in counts])
            rank = np.repeat(np.arange(len(counts)), counts)
            order = np.lexsort((rank, turn))[:size]
            size -= len(order)
            whole = _concatenate([r for part in chosen for r in part])
            if len(parts) > 1 or len(order) < sum(counts):
                whole = _take(whole, order)
            merged.append(dict(whole, split=split))
        return merged

    def select(self, results: list[dict], split: str) -> dict | None:
        """Return all samples of a split, checked to be finite.

        Args:
            results (list[dict]): What :meth:`process` kept.
            split (str): ``'bank'`` or ``'query'``.

        Returns:
            dict, optional: ``vectors``, shape (N, D), float32, ``labels``,
            shape (N,), int64, or None, and ``names``; None without samples.

        Raises:
            ValueError: If vectors are not finite, naming the first samples.
        """
        chosen = [r for r in results if r['split'] == split]
        if not chosen:
            return None
        whole = _concatenate(chosen)
        finite = whole['vectors'].isfinite().all(dim=1)
        if not finite.all():
            bad = torch.nonzero(~finite).flatten().tolist()
            raise ValueError(
                f'{self.name}: the `{self.field}` of {len(bad)} of '
                f'{len(finite)} {split} samples is not finite; first: '
                f'{", ".join(whole["names"][i] for i in bad[:5])}. Training '
                'has diverged or the images hold NaN.'
            )
        return whole


def _concatenate(results: list[dict]) -> dict:
    if len(results) == 1:
        return results[0]
    labels = None
    if results[0]['labels'] is not None:
        labels = torch.cat([r['labels'] for r in results])
    return dict(
        vectors=torch.cat([r['vectors'] for r in results]),
        labels=labels,
        names=[name for r in results for name in r['names']],
    )


def _take(samples: dict, rows: np.ndarray) -> dict:
    index = torch.from_numpy(rows)
    labels = samples['labels']
    return dict(
        vectors=samples['vectors'][index],
        labels=None if labels is None else labels[index],
        names=[samples['names'][row] for row in rows],
    )


def _describe(sample: dict) -> str:
    described = f'sample_idx {sample.get("sample_idx", "unknown")}'
    path = sample.get('img_path')
    return f'{described} ({path})' if path else described
