# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from .momentum_contrast import MomentumContrast
from .prototypes.build_prototypes import build_prototypes
from .prototypes.momentum_bank import MomentumBank
from .prototypes.online_prototypes import OnlinePrototypes


@MODELS.register_module()
class PCL(MomentumContrast):
    """PCL: MoCo with a contrast against prototypes.

    Implementation of `Prototypical Contrastive Learning of Unsupervised
    Representations <https://arxiv.org/abs/2005.04966>`_. Versions 1 and 2 of
    the paper are configs of this class: they differ in the neck, the
    temperature, the augmentation and the schedule.

    With ``prototypes='kmeans'``, as in the paper, the E-step is made by
    :class:`pauc_mm.engine.hooks.ClusteringHook`. With 'online_gmm' there is
    none: the prototypes are the means of mixtures that learn from the keys of
    each step (docs/decoupled.md), and the config has no ClusteringHook. Until
    there are prototypes the loss is InfoNCE alone.

    Args:
        backbone (dict): Config of the backbone.
        neck (dict): Config of the projection to ``feat_dim``.
        head (dict): Config of the contrastive head of InfoNCE; its
            ``temperature`` is tau, which the concentrations are scaled to.
        proto_head (dict): Config of the :class:`ProtoNCEHead`.
        num_clusters (Sequence[int]): K of each of the M clusterings.
        queue_len (int): Length of the queue of keys. Defaults to 16384.
        feat_dim (int): D, dimension of the embedding. Defaults to 128.
        prototypes (str): 'kmeans' or 'online_gmm'. Defaults to 'kmeans'.
        mixture (dict, optional): Options of :class:`OnlinePrototypes`, and
            of the mixtures, for 'online_gmm'. Defaults to None: theirs.
        **kwargs: Further arguments of :class:`MomentumContrast`.

    Raises:
        ValueError: If an option is out of its range.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        head: dict,
        proto_head: dict,
        num_clusters: Sequence[int],
        queue_len: int = 16384,
        feat_dim: int = 128,
        prototypes: str = 'kmeans',
        mixture: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            queue_len=queue_len,
            feat_dim=feat_dim,
            **kwargs,
        )
        self.num_clusters = _checked_clusters(num_clusters)
        self.proto_head = MODELS.build(proto_head)
        self.prototypes = build_prototypes(
            prototypes, mixture, self.num_clusters, feat_dim, self.temperature
        )
        self.bank: MomentumBank | None = None
        self.prototype_weight = 1.0  # less while ClusteringHook ramps it up
        self._said_no_e_step = False

    @property
    def online(self) -> bool:
        """Whether the prototypes follow the keys, without an E-step."""
        return isinstance(self.prototypes, OnlinePrototypes)

    def loss(
        self,
        inputs: list[torch.Tensor],
        data_samples: list[DataSample],
        **kwargs,
    ) -> dict[str, torch.Tensor]:
        """InfoNCE, and once there are prototypes their losses.

        Args:
            inputs (list[Tensor]): The query and the key view, each
                (N, 3, H, W).
            data_samples (list[DataSample]): N samples, with ``sample_idx``
                for prototypes from k-means.
            **kwargs: Not used; mmpretrain passes none.

        Returns:
            dict[str, Tensor]: ``loss_infonce``, ``acc_instance`` and those
            of :meth:`prototype_losses`.

        Raises:
            ValueError: If the batch does not hold two views.
        """
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            raise ValueError(
                f'{type(self).__name__} trains on two views of each image: '
                'use MultiView(num_views=2) in the training pipeline.'
            )
        self._dequeue_and_enqueue()
        query = self.neck(self.backbone(inputs[0]))[0]
        key = self.encode_keys(inputs[1])
        # Under AMP the encoder has run in half precision; normalisation and
        # exponentials need float32.
        with torch.autocast(query.device.type, enabled=False):
            query = F.normalize(query.float(), dim=1)
            losses = self.instance_losses(query, key)
            assigned = self._assign(key, data_samples)
            if assigned is not None:
                # In two steps: torch.compile would compile anew each time.
                more = self._ramped(
                    self.prototype_losses(query, key, assigned)
                )
                losses = {**losses, **more}
            self.gather_keys(key)
        return losses

    @torch.compiler.disable  # the weight may change with each epoch
    def _ramped(
        self, losses: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        if self.prototype_weight == 1:
            return losses
        return {
            name: value * self.prototype_weight
            if name.startswith('loss')
            else value
            for name, value in losses.items()
        }

    def _assign(
        self, key: torch.Tensor, data_samples: list[DataSample]
    ) -> torch.Tensor | None:
        """Clusters of the samples, (M, N), or None before there are any."""
        if self.online:
            return self._assign_online(key)
        if self.prototypes.ready or self.bank is not None:
            places = _sample_indices(data_samples)
        if self.bank is not None:
            self.bank.write(places, key)
        if self.prototypes.ready:
            return self.prototypes.lookup(places)
        if self.training and not self.proto_head.seeded:
            self._say_no_e_step()
        return None

    @torch.compiler.disable
    def _assign_online(self, key: torch.Tensor) -> torch.Tensor | None:
        self.proto_head.seed(self.prototypes.seed_of_step(), key.device)
        return self.prototypes.assign_and_learn(key)

    def end_epoch(self) -> None:
        """Say what the epoch was like; for hooks.

        The clustering hook calls it or, where there is none, the
        SetupCheckHook.
        """
        if self.online:
            for line in self.prototypes.summary():
                print_log(line, logger='current')

    def start_momentum_encoder(self) -> None:
        """Give it the weights of the query encoder, before the first step.

        An E-step without warm-up would otherwise see other random weights.
        """
        if not self.encoder_k.started:
            self.encoder_k.update_parameters(
                nn.Sequential(self.backbone, self.neck)
            )

    def _say_no_e_step(self) -> None:
        if not self._said_no_e_step:
            self._said_no_e_step = True
            print_log(
                f'{type(self).__name__} is trained without a ClusteringHook: '
                'its loss is InfoNCE alone. Inherit '
                'configs/_base_/clustering_runtime.py, or add '
                "default_hooks.clustering=dict(type='ClusteringHook', ...).",
                logger='current',
                level=logging.WARNING,
            )

    def prototype_losses(
        self, query: torch.Tensor, key: torch.Tensor, assigned: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Losses against the prototypes.

        Args:
            query (Tensor): l2-normalised v, shape (N, D).
            key (Tensor): l2-normalised v', shape (N, D).
            assigned (Tensor): Clusters of the samples, shape (M, N), int64.

        Returns:
            dict[str, Tensor]: See :meth:`ProtoNCEHead.loss`.
        """
        return self.proto_head.loss(query, self.prototypes, assigned)


def has_online_prototypes(model: nn.Module) -> bool:
    """Whether a model is a PCL or PAUC that makes no E-step."""
    return isinstance(model, PCL) and model.online


@torch.compiler.disable
def _sample_indices(data_samples: list[DataSample]) -> torch.Tensor:
    try:
        return torch.tensor([sample.sample_idx for sample in data_samples])
    except (AttributeError, TypeError) as error:
        raise ValueError(
            'The data samples carry no sample_idx, which finds the cluster '
            'of an image: keep it in the meta_keys of PackInputs.'
        ) from error


def _checked_clusters(num_clusters: Sequence[int]) -> tuple[int, ...]:
    clusters = (
        tuple(num_clusters)
        if isinstance(num_clusters, (list, tuple))
        else (num_clusters,)
    )
    if not clusters or any(
        not isinstance(k, int) or isinstance(k, bool) or k < 2
        for k in clusters
    ):
        raise ValueError(
            'model.num_clusters must list the K of each clustering, integers '
            f'>= 2 such as [100, 200, 400], but is {num_clusters!r}.'
        )
    return clusters
