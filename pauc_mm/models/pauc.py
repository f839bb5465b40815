# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
from typing import Optional

import torch
from mmengine.dist import all_gather
from mmengine.logging import print_log
from mmpretrain.registry import MODELS

from ..clustering import batch_prototypes
from ..utils import gather_with_grad
from .pcl import PCL


@MODELS.register_module()
class PAUC(PCL):
    """PAUC: PCL with alignment, uniformity and correlation of prototypes.

    Implementation of `Rethinking Prototypical Contrastive Learning through
    Alignment, Uniformity and Correlation
    <https://arxiv.org/abs/2210.10194>`_ (eq. 7). All terms are minimised and
    averaged over the clusterings; they are computed on the prototypes that
    the batch itself gives, see :func:`pauc_mm.clustering.batch_prototypes`,
    because the centroids of k-means are constants. A positive pair is one
    cluster's prototype from the query view and from the momentum encoder's.

    Args:
        align_loss (dict, optional): Config of the alignment (eq. 4); None
            leaves the term out.
        uniform_loss (dict, optional): Config of the uniformity (eq. 5).
        corr_loss (dict, optional): Config of the correlation (eq. 6).
        centroid_weight (float): Share of the stored centroid in a batch
            prototype, in [0, 1). Defaults to 0.
        **kwargs: Arguments of :class:`PCL`.

    Raises:
        ValueError: If ``centroid_weight`` is out of its range.
    """

    def __init__(
        self,
        *args,
        align_loss: Optional[dict] = None,
        uniform_loss: Optional[dict] = None,
        corr_loss: Optional[dict] = None,
        centroid_weight: float = 0.0,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        if not 0 <= centroid_weight < 1:
            raise ValueError(
                'model.centroid_weight must be in [0, 1): at 1 no gradient '
                f'reaches the encoder; it is {centroid_weight!r}.'
            )
        self.centroid_weight = centroid_weight
        self.align_loss = _build(align_loss)
        self.uniform_loss = _build(uniform_loss)
        self.corr_loss = _build(corr_loss)
        self._said: set[int] = set()

    def prototype_losses(
        self, query: torch.Tensor, key: torch.Tensor, assigned: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """ProtoNCE and the three terms of eq. 7.

        Args:
            query (Tensor): l2-normalised v, shape (N, D).
            key (Tensor): l2-normalised v', shape (N, D), no gradient.
            assigned (Tensor): Clusters of the samples, shape (M, N), int64.

        Returns:
            dict[str, Tensor]: Those of :class:`PCL`, and ``loss_align``,
            ``loss_uniform``, ``loss_corr``, weighted.
        """
        losses = super().prototype_losses(query, key, assigned)
        queries = gather_with_grad(query)
        keys = torch.cat(list(all_gather(key.contiguous())))
        whole_batch = torch.cat(list(all_gather(assigned.contiguous())), dim=1)
        num_sets = len(self.prototypes)
        for m in range(num_sets):
            for name, term in self._terms(queries, keys, whole_batch[m], m):
                losses[name] = losses.get(name, 0) + term / num_sets
        return losses

    def _terms(self, queries, keys, assigned, m):
        """Name and value of each term for clustering m."""
        mix = (self.prototypes.centroids[m], self.centroid_weight)
        prototypes, _ = batch_prototypes(queries, assigned, *mix)
        if self.align_loss is not None:
            positives, _ = batch_prototypes(keys, assigned, *mix)
            yield 'loss_align', self.align_loss(prototypes, positives)
        for name, term in (
            ('loss_uniform', self.uniform_loss),
            ('loss_corr', self.corr_loss),
        ):
            if term is None:
                continue
            if len(prototypes) < 2:
                self._say_no_pairs(m)
                yield name, queries.sum() * 0
            else:
                yield name, term(prototypes)

    def _say_no_pairs(self, m: int) -> None:
        if m not in self._said:
            self._said.add(m)
            print_log(
                'All samples of a batch are in one cluster of clustering '
                f'{m} (model.num_clusters[{m}]): uniformity and correlation, '
                'means over pairs of prototypes, are left out for such '
                'batches. Said once.',
                logger='current',
                level=logging.WARNING,
            )


def _build(cfg: Optional[dict]):
    return None if cfg is None else MODELS.build(cfg)
