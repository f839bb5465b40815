# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from typing import Any, cast

import torch
import torch.nn.functional as F
from mmengine.dataset import ClassBalancedDataset, RepeatDataset
from mmengine.dist import all_gather, get_world_size
from mmengine.runner import Runner
from mmpretrain.models import MoCo
from mmpretrain.models.utils import batch_shuffle_ddp, batch_unshuffle_ddp
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from pauc_mm.utils.checks import check_integer, check_positive

from .checks import check_queue, global_batch_size
from .embed import embed_images
from .momentum_encoder import MomentumEncoder
from .neck_inputs import join


class MomentumContrast(MoCo):
    """Base of the algorithms that add losses to MoCo's.

    Against mmpretrain's MoCo the queue takes any batch, nothing in a step
    waits for the device, one process is enough, and there is a mode
    'predict'. The layout of the checkpoint is that of MoCo.

    Args:
        backbone (dict): Config of the backbone.
        neck (dict): Config of the projection; the first of its outputs is
            the embedding of ``feat_dim``.
        head (dict): Config of the contrastive head of InfoNCE.
        queue_len (int): Length of the queue of keys.
        feat_dim (int): D, dimension of the embedding.
        momentum (float): Step of the momentum encoder: 0.001 is m = 0.999 in
            the papers.
        **kwargs: Further arguments of mmpretrain's MoCo.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        head: dict,
        queue_len: int = 65536,
        feat_dim: int = 128,
        momentum: float = 0.001,
        **kwargs: Any,
    ) -> None:
        check_integer('model.queue_len', queue_len, 1)
        if not 0 < momentum < 1:
            raise ValueError(
                'model.momentum must be in (0, 1), 0.001 for the m = 0.999 '
                f'of the papers, got {momentum!r}.'
            )
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            queue_len=queue_len,
            feat_dim=feat_dim,
            momentum=momentum,
            **kwargs,
        )
        join(self.backbone, self.neck)
        self.encoder_k = MomentumEncoder(
            nn.Sequential(self.backbone, self.neck), momentum
        )
        check_positive(
            'model.head.temperature', self.temperature, fix='MoCo v2 uses 0.2.'
        )

    @property
    def temperature(self) -> float:
        """Temperature tau of InfoNCE."""
        return self.head.temperature

    def forward(
        self,
        inputs: Tensor | list[Tensor],
        data_samples: list[DataSample] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Dispatch by mode.

        Args:
            inputs (Tensor or list[Tensor]): Images (N, 3, H, W); a list of
                views of them for the mode 'loss'.
            data_samples (list[DataSample], optional): N samples.
            mode (str): 'tensor' gives the backbone's output, 'loss' a dict
                of losses, 'predict' the data samples with the fields
                ``feature`` (C,) and ``embedding`` (D,), so that a
                validation loop can run during pretraining.
        """
        if mode == 'predict':
            return self.predict(cast(Tensor, inputs), data_samples)
        return super().forward(inputs, data_samples, mode)

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Return samples with ``feature`` and l2-normalised ``embedding``."""
        features, embeddings = embed_images(self, inputs)
        if data_samples is None:
            data_samples = [DataSample() for _ in features]
        for sample, feature, embedding in zip(
            data_samples, features, embeddings
        ):
            sample.set_field(feature, 'feature')
            sample.set_field(embedding, 'embedding')
        return data_samples

    @torch.no_grad()
    def encode_keys(self, images: Tensor) -> Tensor:
        """Move the momentum encoder one step and embed the key view.

        Args:
            images (Tensor): Shape (N, 3, H, W).

        Returns:
            Tensor: l2-normalised keys, shape (N, D), float32.
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

    def instance_losses(self, query: Tensor, key: Tensor) -> dict[str, Tensor]:
        """Compute InfoNCE against the queue (PCL, eq. 1).

        Args:
            query (Tensor): l2-normalised v, shape (N, D), float32.
            key (Tensor): l2-normalised v', shape (N, D), float32.

        Returns:
            dict[str, Tensor]: ``loss_infonce`` and ``acc_instance``, the
            share of samples that recognise their key, in [0, 1].
        """
        positive = (query * key).sum(dim=1, keepdim=True)  # (N, 1)
        # A copy: enqueue() changes the queue before backward reads it.
        negative = query @ self.queue.clone()  # (N, queue_len)
        hit = positive.detach().squeeze(1) > negative.detach().amax(dim=1)
        # Same as self.head.loss, but creates the labels on the device and so
        # avoids a sync.
        logits = torch.cat([positive, negative], dim=1) / self.temperature
        labels = torch.zeros(len(logits), dtype=torch.int64, device=key.device)
        return dict(
            loss_infonce=self.head.loss_module(logits, labels),
            acc_instance=hit.float().mean(),
        )

    @torch.no_grad()
    def enqueue(self, key: Tensor) -> Tensor:
        """Write the keys of all ranks over the oldest; a collective call.

        Args:
            key (Tensor): This rank's keys, shape (N, D), float32.

        Returns:
            Tensor: The keys of all ranks, shape (N * world, D).
        """
        keys = torch.cat(list(all_gather(key.contiguous())))
        columns = torch.arange(len(keys), device=keys.device)
        columns = (self.queue_ptr + columns) % self.queue_len  # a ring
        self.queue[:, columns] = keys.t().to(self.queue.dtype)
        self.queue_ptr.add_(len(keys)).remainder_(self.queue_len)
        return keys

    def check_setup(self, runner: Runner) -> None:
        """Refuse a training that cannot work, before its first step."""
        images = runner.train_dataloader.dataset
        while isinstance(images, (RepeatDataset, ClassBalancedDataset)):
            images = images.dataset
        check_queue(self.queue_len, global_batch_size(runner), len(images))
