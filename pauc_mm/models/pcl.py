# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
from collections.abc import Sequence
from typing import Optional, Union

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, get_world_size
from mmengine.logging import print_log
from mmpretrain.models import MoCo
from mmpretrain.models.utils import batch_shuffle_ddp, batch_unshuffle_ddp
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from ..utils.checks import check_positive
from .embedding import embed_images
from .momentum_bank import MomentumBank
from .momentum_encoder import MomentumEncoder
from .prototypes import PrototypeSets


@MODELS.register_module()
class PCL(MoCo):
    """PCL: MoCo with a contrast against prototypes.

    Implementation of `Prototypical Contrastive Learning of Unsupervised
    Representations <https://arxiv.org/abs/2005.04966>`_. Versions 1 and 2 of
    the paper are configs of this class: they differ in the neck, the
    temperature, the augmentation and the schedule. The E-step is made by
    :class:`pauc_mm.hooks.ClusteringHook`; until its first one the loss is
    InfoNCE alone.

    Args:
        backbone (dict): Config of the backbone.
        neck (dict): Config of the projection to ``feat_dim``.
        head (dict): Config of the contrastive head of InfoNCE; its
            ``temperature`` is tau, which the concentrations are scaled to.
        proto_head (dict): Config of the :class:`ProtoNCEHead`.
        num_clusters (Sequence[int]): K of each of the M clusterings.
        queue_len (int): Length of the queue of keys. Defaults to 16384.
        feat_dim (int): D, dimension of the embedding. Defaults to 128.
        momentum (float): Step of the momentum encoder: 0.001 is m = 0.999 in
            the papers. Defaults to 0.001.
        pretrained (str, optional): Checkpoint to start from.
        data_preprocessor (dict, optional): Defaults to mmpretrain's
            SelfSupDataPreprocessor.
        init_cfg (dict or list[dict], optional): Initialization config.

    Raises:
        ValueError: If a number is out of its range.
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
        momentum: float = 0.001,
        pretrained: Optional[str] = None,
        data_preprocessor: Optional[dict] = None,
        init_cfg: Optional[Union[list[dict], dict]] = None,
    ) -> None:
        if not isinstance(queue_len, int) or queue_len < 1:
            raise ValueError(
                f'model.queue_len must be an integer >= 1, not {queue_len!r}.'
            )
        if not 0 < momentum < 1:
            raise ValueError(
                'model.momentum must be in (0, 1), 0.001 for the m = 0.999 '
                f'of the papers, but is {momentum!r}.'
            )
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            queue_len=queue_len,
            feat_dim=feat_dim,
            momentum=momentum,
            pretrained=pretrained,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.encoder_k = MomentumEncoder(
            nn.Sequential(self.backbone, self.neck), momentum
        )
        check_positive(
            'model.head.temperature',
            self.temperature,
            fix='The papers use 0.1 (v1) and 0.2 (v2).',
        )
        self.num_clusters = _checked_clusters(num_clusters)
        self.proto_head = MODELS.build(proto_head)
        self.prototypes = PrototypeSets()
        self.bank: Optional[MomentumBank] = None
        self._new_keys: Optional[torch.Tensor] = None
        self._said_no_e_step = False

    @property
    def temperature(self) -> float:
        """Temperature tau of InfoNCE, and mean of the concentrations."""
        return self.head.temperature

    def forward(
        self,
        inputs: Union[torch.Tensor, list[torch.Tensor]],
        data_samples: Optional[list[DataSample]] = None,
        mode: str = 'tensor',
    ):
        """Dispatch by mode.

        Args:
            inputs (Tensor or list[Tensor]): Images (N, 3, H, W); two views
                of them in a list for the mode 'loss'.
            data_samples (list[DataSample], optional): N samples.
            mode (str): 'tensor' gives the backbone's output, 'loss' a dict
                of losses, 'predict' the data samples with the fields
                ``feature`` (C,) and ``embedding`` (D,), so that a
                validation loop can run during pretraining.

        Raises:
            RuntimeError: If the mode is unknown.
        """
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        return super().forward(inputs, data_samples, mode)

    def predict(
        self,
        inputs: torch.Tensor,
        data_samples: Optional[list[DataSample]] = None,
    ) -> list[DataSample]:
        """Data samples with ``feature`` and l2-normalised ``embedding``."""
        features, embeddings = embed_images(self, inputs)
        if data_samples is None:
            data_samples = [DataSample() for _ in features]
        for sample, feature, embedding in zip(
            data_samples, features, embeddings
        ):
            sample.set_field(feature, 'feature')
            sample.set_field(embedding, 'embedding')
        return data_samples

    def loss(
        self,
        inputs: list[torch.Tensor],
        data_samples: list[DataSample],
        **kwargs,
    ) -> dict[str, torch.Tensor]:
        """InfoNCE, and from the first E-step on the prototype losses.

        Args:
            inputs (list[Tensor]): The query and the key view, each
                (N, 3, H, W).
            data_samples (list[DataSample]): N samples with ``sample_idx``.
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
            if self.prototypes.ready or self.bank is not None:
                places = _sample_indices(data_samples)
            if self.bank is not None:
                self.bank.write(places, key)
            if self.prototypes.ready:
                assigned = self.prototypes.lookup(places)
                # In two steps: torch.compile would compile anew each time.
                more = self.prototype_losses(query, key, assigned)
                losses = {**losses, **more}
            elif self.training and not self.proto_head.seeded:
                self._say_no_e_step()
            self._new_keys = torch.cat(list(all_gather(key.contiguous())))
        return losses

    def end_epoch(self) -> None:
        """Called by the clustering hook after each epoch of training."""

    def _save_to_state_dict(self, *args, **kwargs) -> None:
        self._dequeue_and_enqueue()
        super()._save_to_state_dict(*args, **kwargs)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        self._new_keys = None
        super()._load_from_state_dict(*args, **kwargs)

    def start_momentum_encoder(self) -> None:
        """Give it the weights of the query encoder, before the first step.

        An E-step without warm-up would otherwise see other random weights.
        """
        if not self.encoder_k.started:
            self.encoder_k.update_parameters(
                nn.Sequential(self.backbone, self.neck)
            )

    @torch.no_grad()
    def encode_keys(self, images: torch.Tensor) -> torch.Tensor:
        """Move the momentum encoder one step and embed the key view.

        Args:
            images (Tensor): Shape (N, 3, H, W).

        Returns:
            Tensor: l2-normalised keys v', shape (N, D), float32.
        """
        self.encoder_k.update_parameters(
            nn.Sequential(self.backbone, self.neck)
        )
        several = get_world_size() > 1
        if several:  # so that BatchNorm does not leak which key is positive
            images, undo = batch_shuffle_ddp(images)
        key = self.encoder_k(images)[0].float()
        if several:
            key = batch_unshuffle_ddp(key, undo)
        with torch.autocast(key.device.type, enabled=False):
            return F.normalize(key.float(), dim=1)

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

    def instance_losses(
        self, query: torch.Tensor, key: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """InfoNCE against the queue (PCL, eq. 1).

        Args:
            query (Tensor): l2-normalised v, shape (N, D).
            key (Tensor): l2-normalised v', shape (N, D).

        Returns:
            dict[str, Tensor]: ``loss_infonce`` and ``acc_instance``, the
            share of samples that recognise their key, in [0, 1].
        """
        positive = (query * key).sum(dim=1, keepdim=True)
        negative = query @ self.queue
        hit = positive.detach().squeeze(1) > negative.detach().amax(dim=1)
        # As self.head.loss(positive, negative), whose labels are copied to
        # the device in each step, which waits for it.
        logits = torch.cat([positive, negative], dim=1) / self.temperature
        labels = torch.zeros(len(logits), dtype=torch.int64, device=key.device)
        return dict(
            loss_infonce=self.head.loss_module(logits, labels),
            acc_instance=hit.float().mean(),
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

    @torch.compiler.disable
    @torch.no_grad()
    def _dequeue_and_enqueue(self) -> None:
        """Write the last step's keys into the oldest slots, in a ring.

        Only now: the backward pass of that step still had to read the queue,
        of which MoCo makes a copy in each step for that reason.
        """
        keys, self._new_keys = self._new_keys, None
        if keys is None:
            return
        slots = torch.arange(len(keys), device=keys.device)
        slots = (self.queue_ptr + slots) % self.queue_len
        self.queue[:, slots] = keys.t().to(self.queue.dtype)
        self.queue_ptr.add_(len(keys)).remainder_(self.queue_len)


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
