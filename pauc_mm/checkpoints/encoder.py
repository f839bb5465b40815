# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.models.embed import embed_images, pooled

IMAGENET_PREPROCESS = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
)
"""ImageNet's mean and deviation of R, G and B between 0 and 255."""


@dataclass
class Encoder:
    """Encoder of a checkpoint, ready to embed images.

    Attributes:
        backbone (nn.Module): In eval mode, without gradients.
        neck (nn.Module, optional): The projection head; None where the
            checkpoint has none, or its form is unknown.
        layout (str): The layout in words, such as 'pauc_mm PAUC', 'official
            SwAV' or 'torchvision ResNet-50'.
        prototypes (dict[str, Tensor]): Name to prototypes (K, D), float32,
            as stored, not normalised. Empty if there are none.
        prototype_space (str, optional): 'embedding' where prototypes lie in
            the space of the neck's output; None without prototypes.
        epoch (int, optional): Epochs trained.
        preprocess (dict): ``mean`` and ``std`` of R, G and B between 0 and
            255, or None, and ``to_rgb``, whether BGR images are turned.
        pipeline (list[dict], optional): The config's pipeline of one view;
            without one see
            :func:`~pauc_mm.embedding.preprocessing.file_pipeline`.
        dataset (dict, optional): The config's data set of evaluation.
        config (Config, optional): The config, if one is known.
        notes (list[str]): Sentences for the user on what was left out,
            renamed or assumed.
    """

    backbone: nn.Module
    neck: nn.Module | None
    layout: str
    prototypes: dict[str, torch.Tensor] = field(default_factory=dict)
    prototype_space: str | None = None
    epoch: int | None = None
    preprocess: dict = field(default_factory=lambda: dict(IMAGENET_PREPROCESS))
    pipeline: list | None = None
    dataset: dict | None = None
    config: Any | None = None
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._preprocessor = MODELS.build(
            dict(type='mmpretrain.SelfSupDataPreprocessor', **self.preprocess)
        )
        self.to(self.device)
        for module in (self.backbone, self.neck):
            if module is not None:
                module.requires_grad_(False)
                module.eval()  # of mmpretrain's ResNet it returns None

    @property
    def device(self) -> torch.device:
        """Device of the backbone's weights."""
        return next(self.backbone.parameters()).device

    @property
    def channels(self) -> int:
        """Channels of the images, those of the first convolution."""
        layers = self.backbone.modules()
        convs = (m.in_channels for m in layers if isinstance(m, nn.Conv2d))
        return next(convs, 3)

    def to(self, device: torch.device | str) -> Encoder:
        """Move the networks in place, but not the prototypes."""
        for module in (self.backbone, self.neck, self._preprocessor):
            if module is not None:
                module.to(device)
        return self

    @torch.no_grad()
    def embed(
        self, images: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute features and embeddings of preprocessed images.

        Args:
            images (Tensor): From :meth:`preprocess_images`, shape
                (N, C, H, W), float, on the encoder's device.

        Returns:
            tuple[Tensor, Tensor or None]: The last map of the backbone,
            globally average pooled, shape (N, C), and the l2-normalised
            output of the neck, shape (N, D), or None where there is none;
            both float32.

        Raises:
            ValueError: If the images are not such a tensor.
        """
        if images.dim() != 4 or not images.is_floating_point():
            raise ValueError(
                'embed takes preprocessed images, a float tensor (N, C, H, '
                f'W), not {images.dtype} of shape {tuple(images.shape)}: '
                'give them to preprocess_images first.'
            )
        if self.neck is not None:
            return embed_images(self, images)  # type: ignore[arg-type]
        return pooled(self.backbone(images)).float(), None

    @torch.no_grad()
    def preprocess_images(self, inputs: Any) -> torch.Tensor:
        """Normalise the images of a collated batch for :meth:`embed`.

        Args:
            inputs (Tensor or list[Tensor]): Images of one size between 0 and
                255, with :attr:`channels` as the pipeline loads them (BGR
                from ``LoadImageFromFile``): one tensor (N, C, H, W), a list
                of N tensors (C, H, W), or a list of one batch, as from
                ``MultiView`` with one view.

        Returns:
            Tensor: Shape (N, C, H, W), float32, on the encoder's device.

        Raises:
            ValueError: If the images have several sizes or views, or other
                channels.
        """
        if isinstance(inputs, (list, tuple)):
            inputs = _stacked(inputs)
        if inputs.dim() != 4 or inputs.shape[1] != self.channels:
            colour = {1: 'grayscale', 3: 'color'}.get(self.channels)
            raise ValueError(
                f'Images must be a batch of shape (N, {self.channels}, H, W), '
                f'as this network takes {self.channels} channels, not '
                f'{tuple(inputs.shape)}: load them with LoadImageFromFile('
                f"color_type='{colour or 'unchanged'}')."
            )
        batch = dict(inputs=inputs, data_samples=None)
        return self._preprocessor(batch)['inputs']


def _stacked(inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack a list of images, or take the batch of one view."""
    if len(inputs) == 1 and inputs[0].dim() == 4:
        return inputs[0]
    if inputs and inputs[0].dim() == 4:
        raise ValueError(
            f'The pipeline gives {len(inputs)} views of each image, but an '
            'embedding is taken of one: use a pipeline without MultiView.'
        )
    shapes = sorted({tuple(image.shape) for image in inputs})
    if len(shapes) != 1:
        raise ValueError(
            f'The images of a batch have {len(shapes)} shapes '
            f'({", ".join(map(str, shapes[:3]))}): end the pipeline with a '
            "crop or resize to one size, such as dict(type='CenterCrop', "
            'crop_size=224).'
        )
    return torch.stack(list(inputs))
