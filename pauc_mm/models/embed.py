# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Features and embeddings of a batch, for any self-supervised model."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmpretrain.models.necks import SwAVNeck
from mmpretrain.utils import get_ori_model
from torch import nn

from .neck_inputs import neck_inputs


def encoder_of(
    model: nn.Module, momentum: bool = False
) -> tuple[nn.Module, nn.Module]:
    """Return the backbone and the neck of a model, or of its momentum encoder.

    The model is any self-supervised algorithm of mmpretrain with a neck,
    wrapped for distributed training or not.

    Raises:
        TypeError: If the model has no neck, or no momentum encoder.
    """
    algorithm: Any = get_ori_model(model)
    name = type(algorithm).__name__
    if getattr(algorithm, 'neck', None) is None:
        raise TypeError(
            f'{name} has no neck, so it has no embedding; set model.neck.'
        )
    if not momentum:
        return algorithm.backbone, algorithm.neck
    # MoCo and PCL call it encoder_k, BYOL and its descendants target_net.
    for key in ('encoder_k', 'target_net'):
        if hasattr(algorithm, key):
            backbone, neck = getattr(algorithm, key).module
            return backbone, neck
    raise TypeError(
        f'{name} has no momentum encoder (encoder_k or target_net); use '
        'momentum=False.'
    )


@torch.no_grad()
def embed_images(
    model: nn.Module, images: torch.Tensor, momentum: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Embed preprocessed images (N, 3, H, W).

    Returns:
        tuple[Tensor, Tensor]: The backbone's features after global average
        pooling, shape (N, C), and the l2-normalised embeddings, shape (N, D);
        both float32.
    """
    maps, embeddings = encode(model, images, momentum)
    return pooled(maps).float(), F.normalize(embeddings.float(), dim=1)


def encode(
    model: nn.Module, images: torch.Tensor, momentum: bool = False
) -> tuple[torch.Tensor | Sequence[torch.Tensor], torch.Tensor]:
    """Return the maps of the backbone and the projections (N, D)."""
    backbone, neck = encoder_of(model, momentum)
    maps = backbone(images)
    # SwAV's neck takes a list with the maps of each size of crop.
    inputs = [maps] if isinstance(neck, SwAVNeck) else maps
    embeddings = neck(*neck_inputs(neck, (inputs,)))
    if isinstance(embeddings, (tuple, list)):
        embeddings = embeddings[0]
    return maps, embeddings


def pooled(maps: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
    """Pool maps (N, C, H, W), of several the last, to features (N, C)."""
    last = maps if isinstance(maps, torch.Tensor) else maps[-1]
    return last.flatten(2).mean(-1) if last.dim() > 2 else last


def embed_batch(
    model: nn.Module,
    data_batch: dict,
    momentum: bool = False,
    amp_dtype: str | None = None,
    channels_last: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, list]:
    """Embed a batch of the dataloader; the model is in eval mode.

    For the options see :func:`pauc_mm.embedding.dataset.embed_dataset`.

    Returns:
        tuple[Tensor, Tensor, list[DataSample]]: Features (N, C), embeddings
        (N, D), see :func:`embed_images`, and the N data samples.

    Raises:
        ValueError: If the batch holds several views of each image.
    """
    data = get_ori_model(model).data_preprocessor(data_batch, training=False)
    images = data['inputs']
    if isinstance(images, (list, tuple)):
        if len(images) != 1:
            raise ValueError(
                f'The pipeline gives {len(images)} views of each image. Use '
                'one with a centre crop and without MultiView.'
            )
        images = images[0]
    if channels_last:  # only now: the preprocessor may undo it
        images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(
        images.device.type,
        dtype=getattr(torch, amp_dtype) if amp_dtype else None,
        enabled=amp_dtype is not None,
    ):
        features, embeddings = embed_images(model, images, momentum)
    return features, embeddings, data['data_samples']
