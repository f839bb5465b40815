# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
from typing import Any

import torch
from mmengine.dist import all_gather
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from pauc_mm.clustering import batch_prototypes
from pauc_mm.utils import gather_with_grad

from .checks import global_batch_size
from .pcl import PCL


@MODELS.register_module()
class PAUC(PCL):
    """PAUC: PCL with alignment, uniformity and correlation of prototypes.

    Implementation of `Rethinking Prototypical Contrastive Learning through
    Alignment, Uniformity and Correlation
    <https://arxiv.org/abs/2210.10194>`_ (eq. 7). All terms are minimised and
    averaged over the clusterings; they are computed on the prototypes that
    the batch itself gives, see :func:`pauc_mm.clustering.batch_prototypes`,
    because stored centroids are constants. A positive pair is one
    cluster's prototype from the query view and from the momentum encoder's.

    Args:
        align_loss (dict, optional): Config of the alignment (eq. 4); None
            leaves the term out.
        uniform_loss (dict, optional): Config of the uniformity (eq. 5).
        corr_loss (dict, optional): Config of the correlation (eq. 6).
        centroid_weight (float): Share of the stored centroid in a batch
            prototype, in [0, 1).
        **kwargs: Arguments of :class:`PCL`.
    """

    def __init__(
        self,
        *,
        align_loss: dict | None = None,
        uniform_loss: dict | None = None,
        corr_loss: dict | None = None,
        centroid_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= centroid_weight < 1:
            raise ValueError(
                f'model.centroid_weight must be in [0, 1), got '
                f'{centroid_weight!r}: at 1 no gradient reaches the encoder.'
            )
        self.centroid_weight = centroid_weight
        self.align_loss = _build(align_loss)
        self.uniform_loss = _build(uniform_loss)
        self.corr_loss = _build(corr_loss)
        self._without_pairs = torch.zeros(len(self.num_clusters)).long()
        self._num_batches = torch.zeros(()).long()

    def prototype_losses(
        self, query: Tensor, key: Tensor, assigned: Tensor
    ) -> dict[str, Tensor]:
        """Compute ProtoNCE and the three terms of eq. 7, from PCL's arguments.

        Returns:
            dict[str, Tensor]: Those of :class:`PCL`, and ``loss_align``,
            ``loss_uniform``, ``loss_corr``, weighted.
        """
        losses = super().prototype_losses(query, key, assigned)
        # The batch of all ranks, B = N * world; rows of this rank have grad.
        queries = gather_with_grad(query)  # (B, D)
        keys = torch.cat(list(all_gather(key.contiguous())))  # (B, D)
        ids = torch.cat(list(all_gather(assigned.contiguous())), dim=1)
        stored = None
        if self.centroid_weight > 0:
            rows = self.prototypes.rows(ids)  # (M, B)
            stored = self.prototypes.vectors()[rows]  # (M, B, D)
        (prototypes, positives), mask = batch_prototypes(  # (M, B, D), (M, B)
            ids,
            queries,
            keys,
            stored=stored,
            centroid_weight=self.centroid_weight,
        )
        if self.align_loss is not None:
            losses['loss_align'] = self.align_loss(
                prototypes, positives, mask=mask
            )
        if self.uniform_loss is not None:
            losses['loss_uniform'] = self.uniform_loss(prototypes, mask=mask)
        if self.corr_loss is not None:
            losses['loss_corr'] = self.corr_loss(prototypes, mask=mask)
        without = (mask.sum(dim=1) < 2).long()  # (M,), has no pair
        self._without_pairs = self._without_pairs.to(without.device) + without
        self._num_batches = self._num_batches + 1
        return losses

    def check_setup(self, runner: Runner) -> None:
        """Refuse a training that cannot work, before its first step."""
        super().check_setup(runner)
        if global_batch_size(runner) < 2:
            raise ValueError(
                'train_dataloader.batch_size=1 leaves no pairs of prototypes '
                'in a batch for the terms of eq. 7: PAUC needs 2 or more.'
            )

    def end_epoch(self) -> None:
        """Warn of batches in which a set had no pair of prototypes."""
        super().end_epoch()
        # Read here, since each step would wait for the device.
        counts = self._without_pairs.tolist()
        for m, count in enumerate(counts):
            if count:
                print_log(
                    f'In {count} of {int(self._num_batches)} batches all '
                    f'samples had one prototype of set {m} '
                    f'(model.num_clusters[{m}]): uniformity and correlation, '
                    'means over pairs of prototypes, were left out there.',
                    logger='current',
                    level=logging.WARNING,
                )
        self._without_pairs = torch.zeros_like(self._without_pairs)
        self._num_batches = torch.zeros_like(self._num_batches)


def _build(cfg: dict | None) -> nn.Module | None:
    return None if cfg is None else MODELS.build(cfg)
