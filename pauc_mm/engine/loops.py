# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Loops that evaluate frozen features and embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dist import get_dist_info
from mmengine.evaluator import Evaluator
from mmengine.runner import TestLoop, ValLoop
from mmpretrain.registry import LOOPS
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader

from pauc_mm.evaluation.metrics.embedding_metric import EmbeddingMetric

from .training_counts import training_counts


class _EmbeddingLoop:
    """What the two loops share; precedes mmengine's loop in the bases."""

    stage = ''

    def __init__(
        self,
        runner,
        dataloader: DataLoader | dict,
        evaluator: Evaluator | dict | list,
        bank_dataloader: DataLoader | dict | None = None,
        fp16: bool = False,
    ) -> None:
        super().__init__(runner, dataloader, evaluator, fp16)
        self.bank_dataloader: DataLoader | None = bank_dataloader
        if isinstance(bank_dataloader, dict):
            self.bank_dataloader = runner.build_dataloader(
                bank_dataloader,
                seed=runner.seed,
                diff_rank_seed=runner._randomness_cfg.get(
                    'diff_rank_seed', False
                ),
            )
        self._check_samplers()
        for metric in self.evaluator.metrics:
            if isinstance(metric, EmbeddingMetric):
                metric.check_sizes(*self._sizes())
            if getattr(metric, 'groups_of_train', False):
                metric.set_training_counts(training_counts(runner))

    def run(self) -> dict:
        """Embed the bank and the queries and evaluate them.

        Returns:
            dict: The results of all metrics.
        """
        self.runner.call_hook(f'before_{self.stage}')
        self.runner.call_hook(f'before_{self.stage}_epoch')
        self.runner.model.eval()
        self._share_buffers()
        self._run_bank()
        self._num_seen = 0
        for idx, data_batch in enumerate(self.dataloader):
            self.run_iter(idx, data_batch)
        metrics = self.evaluator.evaluate(sum(self._sizes()))
        self.runner.call_hook(f'after_{self.stage}_epoch', metrics=metrics)
        self.runner.call_hook(f'after_{self.stage}')
        return metrics

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: dict | Sequence) -> None:
        """Embed one batch of queries.

        Args:
            idx (int): Number of the batch.
            data_batch (dict or sequence): A batch of the dataloader.
        """
        self.runner.call_hook(
            f'before_{self.stage}_iter', batch_idx=idx, data_batch=data_batch
        )
        outputs = self._embed(data_batch, 'query', self.dataloader)
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook(
            f'after_{self.stage}_iter',
            batch_idx=idx,
            data_batch=data_batch,
            outputs=outputs,
        )

    @torch.no_grad()
    def _run_bank(self) -> None:
        """Embed the bank, without hooks: they count the query batches."""
        if self.bank_dataloader is None:
            return
        from pauc_mm.utils import progress

        self._num_seen = 0
        for data_batch in progress(self.bank_dataloader, 'Embedding the bank'):
            outputs = self._embed(data_batch, 'bank', self.bank_dataloader)
            self.evaluator.process(data_samples=outputs, data_batch=data_batch)

    def _share_buffers(self) -> None:
        """Let all ranks embed with the network that a checkpoint holds."""
        from pauc_mm.models.embed import encoder_of
        from pauc_mm.utils import share_buffers

        share_buffers(*encoder_of(self.runner.model))

    def _embed(
        self,
        data_batch: dict | Sequence,
        split: str,
        dataloader: DataLoader,
    ) -> list[DataSample]:
        """Return the samples of a batch with feature, embedding and split."""
        from pauc_mm.models.embed import embed_batch

        half = 'float16' if torch.cuda.is_available() else 'bfloat16'
        features, embeddings, samples = embed_batch(
            self.runner.model,
            data_batch,
            amp_dtype=half if self.fp16 else None,
        )
        if not samples:
            raise ValueError(
                f'The {split} pipeline packs no data_samples: end it with '
                "dict(type='PackInputs')."
            )
        kept = self._num_original(dataloader, len(samples))
        features, embeddings = features.float().cpu(), embeddings.float().cpu()
        for sample, feature, embedding in zip(samples, features, embeddings):
            sample.set_field(feature, 'feature')
            sample.set_field(embedding, 'embedding')
            sample.set_metainfo(dict(split=split))
        return list(samples[:kept])

    def _num_original(self, dataloader: DataLoader, size: int) -> int:
        """Count the samples that a sampler did not append as padding.

        DefaultSampler gives rank r the positions r, r + world_size, ... of the
        data set and, beyond its end, repeats it. Metrics that see two splits
        cannot tell the repetitions afterwards.
        """
        rank, world_size = get_dist_info()
        if world_size == 1:
            return size
        own = len(range(rank, len(dataloader.dataset), world_size))
        kept = min(max(own - self._num_seen, 0), size)
        self._num_seen += size
        return kept

    def _sizes(self) -> tuple:
        bank = self.bank_dataloader
        return (
            0 if bank is None else len(bank.dataset),
            len(self.dataloader.dataset),
        )

    def _check_samplers(self) -> None:
        from mmengine.dataset import DefaultSampler

        if get_dist_info()[1] == 1:
            return
        for name, loader in (
            (f'{self.stage}_dataloader', self.dataloader),
            ('bank_dataloader', self.bank_dataloader),
        ):
            if loader is not None and not isinstance(
                loader.sampler, DefaultSampler
            ):
                raise ValueError(
                    f'{name}.sampler is {type(loader.sampler).__name__}: with '
                    'several processes it must be '
                    "dict(type='DefaultSampler', shuffle=False), which gives "
                    'each sample to one of them.'
                )


@LOOPS.register_module()
class EmbeddingValLoop(_EmbeddingLoop, ValLoop):
    """Validation of frozen features and embeddings.

    Works for every self-supervised algorithm with a backbone and a neck. All
    batches of ``bank_dataloader`` (labelled reference images), then all of
    the val dataloader go through the network; each data sample gets
    ``feature``, shape (C,), ``embedding``, shape (D,), l2-normalised, and
    ``split``, 'bank' or 'query', and goes to the evaluator. Samples that a
    sampler repeats to fill the last batches are left out.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader or dict): Images to evaluate, one view each.
        evaluator (Evaluator, dict or list): The metrics.
        bank_dataloader (DataLoader or dict, optional): Labelled references,
            such as the training set centre-cropped, one view each. None
            leaves metrics to their own devices (kNN to leave-one-out).
            Defaults to None.
        fp16 (bool): Whether to run the network in mixed precision.
            Defaults to False.

    Raises:
        ValueError: If a data set is too small for a metric, a sampler does
            not give each sample to one process, or a metric asks for the
            classes of the training set and it has no labels.
    """

    stage = 'val'


@LOOPS.register_module()
class EmbeddingTestLoop(_EmbeddingLoop, TestLoop):
    """Test of frozen features and embeddings.

    As :class:`EmbeddingValLoop`, for the test dataloader and evaluator.
    """

    stage = 'test'
