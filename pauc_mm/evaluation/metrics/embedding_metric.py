# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Base of the metrics on frozen features and embeddings."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import collect_results, get_world_size
from mmengine.evaluator import BaseMetric
from mmengine.runner import Runner
from torch import Tensor

from pauc_mm.embedding.dataset import non_finite_rows
from pauc_mm.utils import on_main_process
from pauc_mm.utils.checks import check_choice

SPLITS = ('bank', 'query')


class EmbeddingMetric(BaseMetric):
    """Base of the metrics that compare the vectors of all samples.

    The entry ``split`` of a sample says whether it belongs to the labelled
    ``'bank'`` or to the ``'query'`` samples that are evaluated (see
    :class:`EmbeddingValLoop`); without it a sample is a query. Vectors are
    kept batch by batch as float32 on the CPU. Those of several processes are
    put into the order of the data set, so that the result is that of one
    process. An error on the main process stops all.

    Args:
        field (str): Vector of a sample: ``'feature'``, of the backbone, or
            ``'embedding'``, after the neck.
        labelled (bool): Whether every sample must have one ``gt_label``.
        splits (sequence of str): Splits to keep. Defaults to both.
        **kwargs: Of mmengine's ``BaseMetric``: ``prefix`` of the names of the
            results, ``collect_device`` and ``collect_dir``.
    """

    def __init__(
        self,
        field: str,
        labelled: bool,
        splits: Sequence[str] = SPLITS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = type(self).__name__
        check_choice(f'{self.name}.field', field, ('embedding', 'feature'))
        self.field = field
        self.labelled = labelled
        self.splits = tuple(splits)

    def prepare(self, runner: Runner, bank: int, query: int) -> None:
        """Check the metric before a loop runs the network."""
        self.check_sizes(bank, query)

    def check_sizes(self, bank: int, query: int) -> None:
        """Refuse data sets that are too small; ``bank`` is 0 without one.

        Raises:
            ValueError: If there are fewer than two queries.
        """
        if query < 2:
            raise ValueError(
                f'{self.name} needs 2 samples or more, got {query}.'
            )

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
        by_split: dict[str, list] = {split: [] for split in SPLITS}
        for sample in data_samples:
            split = sample.get('split', 'query')
            check_choice(f'split of {_describe(sample)}', split, SPLITS)
            by_split[split].append(sample)
        for split in self.splits:
            if samples := by_split[split]:
                vectors = torch.stack([self._vector(s) for s in samples])
                labels = None
                if self.labelled:
                    labels = torch.tensor([self._label(s) for s in samples])
                batch = dict(
                    split=split,
                    vectors=vectors.detach().to('cpu', torch.float32),
                    labels=labels,
                    names=[_describe(s) for s in samples],
                )
                self.results.append(batch)

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
            [list(self.results)],
            get_world_size(),
            self.collect_device,
            self.collect_dir,
        )
        self.results.clear()

        def compute() -> dict:
            metrics = self.compute_metrics(self._merge(parts, size))
            return {f'{self.prefix}/{key}': v for key, v in metrics.items()}

        return on_main_process(compute, self.name)

    def _merge(self, parts: list[list[dict]], size: int) -> list[dict]:
        """Put the results of all processes into the order of the data set."""
        merged = []
        for split in SPLITS:
            chosen = [
                [r for r in part if r['split'] == split] for part in parts
            ]
            if not any(chosen):
                continue
            counts = [sum(len(r['names']) for r in part) for part in chosen]
            # Sample j of process r is row j * world_size + r of the data set.
            turn = np.concatenate([np.arange(count) for count in counts])
            rank = np.repeat(np.arange(len(counts)), counts)
            order = np.lexsort((rank, turn))[:size]
            size -= len(order)
            moved = len(parts) > 1 or len(order) < sum(counts)
            rows = torch.from_numpy(order) if moved else None
            batches = [r for part in chosen for r in part]
            merged.append(dict(_join(batches, rows), split=split))
        return merged

    def queries(self, results: list[dict]) -> dict:
        """Select the query samples; a ValueError if there are none."""
        query = self.select(results, 'query')
        if query is None:
            raise ValueError(f'{self.name} got no query samples.')
        return query

    def select(self, results: list[dict], split: str) -> dict | None:
        """Return all samples of a split, ``'bank'`` or ``'query'``.

        Returns:
            dict, optional: ``vectors``, shape (N, D), float32, ``labels``,
            shape (N,), int64, or None, and ``names``; None without samples.

        Raises:
            ValueError: If vectors are not finite, naming the first samples.
        """
        chosen = [r for r in results if r['split'] == split]
        if not chosen:
            return None
        whole = _join(chosen)
        bad = non_finite_rows(whole['vectors'])
        if bad:
            raise ValueError(
                f'{self.name}: the `{self.field}` of {len(bad)} of '
                f'{len(whole["names"])} {split} samples is not finite; first: '
                f'{", ".join(whole["names"][i] for i in bad[:5])}. Training '
                'has diverged or the images hold NaN.'
            )
        return whole


def _join(parts: list[dict], rows: Tensor | None = None) -> dict:
    """Concatenate batches, and take some rows of the whole."""
    names = [name for part in parts for name in part['names']]
    whole: dict[str, Any] = dict(names=names, labels=None)
    for key in ('vectors', 'labels'):
        if parts[0][key] is not None:
            tensors = [part[key] for part in parts]
            whole[key] = torch.cat(tensors) if len(parts) > 1 else tensors[0]
            if rows is not None:
                whole[key] = whole[key][rows]
    if rows is not None:
        whole['names'] = [names[row] for row in rows.tolist()]
    return whole


def _describe(sample: dict) -> str:
    described = f'sample_idx {sample.get("sample_idx", "unknown")}'
    path = sample.get('img_path')
    return f'{described} ({path})' if path else described
