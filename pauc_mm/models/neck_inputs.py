# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What necks get of backbones that give a vector, as transformers do."""

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.models.backbones import VisionTransformer
from torch import nn

Features = torch.Tensor | Sequence


def join(backbone: nn.Module, neck: nn.Module) -> None:
    """Let a neck take whatever the backbone gives, maps or vectors.

    Copies of the neck, such as a momentum encoder's, do so, too.

    Raises:
        ValueError: If the backbone gives tokens.
    """
    tokens = getattr(backbone, 'out_type', None) == 'raw'
    if tokens and isinstance(backbone, VisionTransformer):
        raise ValueError(
            "model.backbone.out_type='raw' gives all tokens of an image, but "
            "its embedding is made of one vector: use 'cls_token', "
            "'avg_featmap' or 'featmap'."
        )
    if neck_inputs not in neck._forward_pre_hooks.values():
        neck.register_forward_pre_hook(neck_inputs)


def neck_inputs(neck: nn.Module, inputs: tuple) -> tuple:
    """Return the inputs of a neck: to one that pools, vectors are maps.

    Their only element is a tensor, or tensors of several stages or sizes of
    crops, each (N, C, H, W) or (N, C); the latter becomes (N, C, 1, 1) where
    the neck, any of mmpretrain's or ours, pools.

    Raises:
        ValueError: If the neck was built for another number of channels.
    """
    layers = list(neck.modules())
    pools = any(isinstance(m, nn.AdaptiveAvgPool2d) for m in layers)
    last = inputs[0]
    while not isinstance(last, torch.Tensor):
        last = last[-1]
    found = (m for m in layers if isinstance(m, (nn.Linear, nn.Conv2d)))
    wanted = getattr(first := next(found, None), 'in_features', None)
    wanted = getattr(first, 'in_channels', wanted)
    if wanted not in (None, last.shape[1]) and (pools or last.dim() == 2):
        raise ValueError(
            f'model.neck.in_channels={wanted}, but the backbone gives '
            f'{last.shape[1]} channels: set it to {last.shape[1]}.'
        )
    return (_maps(inputs[0]),) if pools else inputs


def _maps(features: Any) -> Any:
    if not isinstance(features, torch.Tensor):
        return type(features)(map(_maps, features))
    return features[:, :, None, None] if features.dim() == 2 else features
