# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, get_world_size
from mmpretrain.models import MoCo
from mmpretrain.models.utils import batch_shuffle_ddp, batch_unshuffle_ddp
from mmpretrain.structures import DataSample
from torch import nn

from pauc_mm.utils.checks import check_positive

from .embed import embed_images
from .momentum_encoder import MomentumEncoder


class MomentumContrast(MoCo):
    """The part of MoCo that algorithms with more than MoCo's loss build on.

    Against mmpretrain's MoCo the queue takes any batch, nothing in a step
    waits for the device, one process is enough, and there is a mode
    'predict'. The layout of the checkpoint is that of MoCo.

    Args:
        backbone (dict): Config of the backbone.
        neck (dict): Config of the projection; the first of its outputs is
            the embedding of ``feat_dim``.
        head (dict): Config of the contrastive head of InfoNCE.
        queue_len (int): Length of the queue of keys. Defaults to 65536.
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
        queue_len: int = 65536,
        feat_dim: int = 128,
        momentum: float = 0.001,
        pretrained: str | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: list[dict] | dict | None = None,
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
            fix='MoCo v2 uses 0.2.',
        )
        self._new_keys: torch.Tensor | None = None

    @property
    def temperature(self) -> float:
        """Temperature tau of InfoNCE."""
        return self.head.temperature

    def forward(
        self,
        inputs: torch.Tensor | list[torch.Tensor],
        data_samples: list[DataSample] | None = None,
        mode: str = 'tensor',
    ):
        """Dispatch by mode.

        Args:
            inputs (Tensor or list[Tensor]): Images (N, 3, H, W); a list of
                views of them for the mode 'loss'.
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
        data_samples: list[DataSample] | None = None,
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

    @torch.no_grad()
    def encode_keys(self, images: torch.Tensor) -> torch.Tensor:
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

    def instance_losses(
        self, query: torch.Tensor, key: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """InfoNCE against the queue.

        Args:
            query (Tensor): l2-normalised, shape (N, D), float32.
            key (Tensor): l2-normalised, shape (N, D), float32.

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

    def gather_keys(self, key: torch.Tensor) -> torch.Tensor:
        """Keep the keys of all ranks for the queue; a collective call.

        The next step, or whoever asks for the state, writes them: the
        backward pass of this one still has to read the queue, of which MoCo
        makes a copy in each step for that reason.

        Args:
            key (Tensor): This rank's keys, shape (N, D), float32.

        Returns:
            Tensor: Those of all ranks, shape (N * world, D).
        """
        self._new_keys = torch.cat(list(all_gather(key.contiguous())))
        return self._new_keys

    @torch.compiler.disable
    @torch.no_grad()
    def _dequeue_and_enqueue(self) -> None:
        """Write the last step's keys into the oldest slots, in a ring."""
        keys, self._new_keys = self._new_keys, None
        if keys is None:
            return
        slots = torch.arange(len(keys), device=keys.device)
        slots = (self.queue_ptr + slots) % self.queue_len
        self.queue[:, slots] = keys.t().to(self.queue.dtype)
        self.queue_ptr.add_(len(keys)).remainder_(self.queue_len)

    def _save_to_state_dict(self, *args, **kwargs) -> None:
        self._dequeue_and_enqueue()
        super()._save_to_state_dict(*args, **kwargs)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        self._new_keys = None
        super()._load_from_state_dict(*args, **kwargs)
