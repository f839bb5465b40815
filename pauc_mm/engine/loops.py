# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Loops that evaluate frozen features and embeddings."""

from collections.abc import Sequence

import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_dist_info
from mmengine.evaluator import Evaluator
from mmengine.runner import ValLoop
from mmpretrain.registry import LOOPS
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader

from pauc_mm.evaluation.metrics.embedding_metric import EmbeddingMetric
from pauc_mm.models.embed import embed_batch, encoder_of
from pauc_mm.utils import progress, share_buffers
from pauc_mm.utils.checks import check_same_classes, class_names


@LOOPS.register_module()
class EmbeddingValLoop(ValLoop):
    """Validation of frozen features and embeddings.

    It serves every self-supervised algorithm with a backbone and a neck. The
    images of ``bank_dataloader`` (labelled references), then those of the val
    dataloader go through the network. Each data sample gets ``feature``,
    shape (C,), ``embedding``, shape (D,), l2-normalised, and ``split``,
    'bank' or 'query', and goes to the evaluator. Samples that a sampler
    repeats to fill the last batches are left out.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader or dict): Images to evaluate, one view each.
        evaluator (Evaluator, dict or list): The metrics.
        bank_dataloader (DataLoader or dict, optional): Labelled references,
            such as the training set centre-cropped, one view each. Without it
            kNN leaves one query out at a time.
        fp16 (bool): Whether to run the network in mixed precision.

    Raises:
        ValueError: If a data set is too small for a metric, a sampler does
            not give each sample to one process, the classes of the two sets
            differ, or a metric needs the classes of the training set and it
            has no labels.
    """

    stage = 'val'

    def __init__(
        self,
        runner,
        dataloader: DataLoader | dict,
        evaluator: Evaluator | dict | list,
        bank_dataloader: DataLoader | dict | None = None,
        fp16: bool = False,
    ) -> None:
        super().__init__(runner, dataloader, evaluator, fp16)
        if isinstance(bank_dataloader, dict):
            bank_dataloader = runner.build_dataloader(
                bank_dataloader,
                seed=runner.seed,
                diff_rank_seed=runner._randomness_cfg.get(
                    'diff_rank_seed', False
                ),
            )
        self.bank_dataloader = bank_dataloader
        self._check_samplers()
        if self.bank_dataloader:
            check_same_classes(
                'bank_dataloader',
                class_names(self.bank_dataloader.dataset),
                f'{self.stage}_dataloader',
                class_names(self.dataloader.dataset),
            )
        for metric in self.evaluator.metrics:
            if isinstance(metric, EmbeddingMetric):
                metric.prepare(runner, *self._sizes())

    def run(self) -> dict:
        """Embed the bank and the queries and evaluate them."""
        self.runner.call_hook(f'before_{self.stage}')
        self.runner.call_hook(f'before_{self.stage}_epoch')
        self.runner.model.eval()
        # A checkpoint holds the buffers of rank 0.
        share_buffers(*encoder_of(self.runner.model))
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
        """Embed one batch of queries."""
        self.runner.call_hook(
            f'before_{self.stage}_iter', batch_idx=idx, data_batch=data_batch
        )
        outputs = self._embed(data_batch, 'query', self.dataloader)
        self.runner.call_hook(
            f'after_{self.stage}_iter',
            batch_idx=idx,
            data_batch=data_batch,
            outputs=outputs,
        )

    def _run_bank(self) -> None:
        """Embed the bank, without hooks: they count the query batches."""
        if self.bank_dataloader is None:
            return
        self._num_seen = 0
        for data_batch in progress(self.bank_dataloader, 'Embedding the bank'):
            self._embed(data_batch, 'bank', self.bank_dataloader)

    def _embed(
        self, data_batch: dict | Sequence, split: str, dataloader: DataLoader
    ) -> list[DataSample]:
        """Give feature, embedding and split of a batch to the evaluator."""
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
        for sample, feature, embedding in zip(
            samples, features.cpu(), embeddings.cpu()
        ):
            sample.set_field(feature, 'feature')
            sample.set_field(embedding, 'embedding')
            sample.set_metainfo(dict(split=split))
        outputs = samples[: self._num_original(dataloader, len(samples))]
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        return outputs

    def _num_original(self, dataloader: DataLoader, size: int) -> int:
        """Count the samples of a batch that are no padding."""
        rank, world_size = get_dist_info()
        if world_size == 1:
            return size
        # DefaultSampler gives rank r the indices r, r + world_size, ... of the
        # data set and, beyond its end, repeats it.
        share = len(range(rank, len(dataloader.dataset), world_size))
        original = min(max(share - self._num_seen, 0), size)
        self._num_seen += size
        return original

    def _sizes(self) -> tuple[int, int]:
        """Return the number of bank and of query samples."""
        bank = self.bank_dataloader
        return len(bank.dataset) if bank else 0, len(self.dataloader.dataset)

    def _check_samplers(self) -> None:
        if get_dist_info()[1] == 1:
            return
        for key, loader in (
            (f'{self.stage}_dataloader', self.dataloader),
            ('bank_dataloader', self.bank_dataloader),
        ):
            if loader and not isinstance(loader.sampler, DefaultSampler):
                raise ValueError(
                    f"{key}.sampler must be dict(type='DefaultSampler', "
                    'shuffle=False) with several processes, got '
                    f'{type(loader.sampler).__name__}. It gives each sample '
                    'to one of them.'
                )


@LOOPS.register_module()
class EmbeddingTestLoop(EmbeddingValLoop):
    """Test of frozen features and embeddings.

    See :class:`EmbeddingValLoop`, for the test dataloader and evaluator.
    """

    stage = 'test'
