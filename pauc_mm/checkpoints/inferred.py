# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Recognise a network by the names of its weights, and build it."""

import re
from typing import Any

from mmpretrain.models.backbones import (
    ResNet,
    SwinTransformer,
    VisionTransformer,
    XCiT,
)
from torch import nn

from . import inferred_resnet, inferred_swin, inferred_vit, inferred_xcit
from .file import State

# Key that each kind of network has, and whose names these are.
_SIGNS = {
    inferred_resnet.SIGN: 'torchvision',
    'conv_proj.weight': 'torchvision',
    'patch_embed.proj.weight': 'timm',
    inferred_xcit.SIGNS[0]: 'timm',
    inferred_xcit.SIGNS[1]: 'mmpretrain',
    'patch_embed.projection.weight': 'mmpretrain',
    'encoder.blocks.0.residual1.fn.q_proj.weight': 'CAPI',
}
KNOWN = re.compile(
    inferred_resnet.PARAMETER.pattern + r'|(?:cls|mask|reg|class)_token|'
    r'pos_embed|masked_embed|register_tokens|conv_proj\..*|'
    r'(?:patch_embed|pos_embeder|norm|norm_pre|fc_norm|ln[12]|norm3)\..*|'
    r'(?:blocks|layers|stages|xca_layers|ca_layers|cls_attn_blocks)\.\d+\..*|'
    r'encoder\.(?:ln|pos_embedding|layers).*'
)
"""Names of the networks that can be inferred."""

# Modules of a ResNet. Those that the plain one has not, such as conv2 and bn2
# of a deep stem or a filter in maxpool, are kept, so that it is refused.
_RESNET = re.compile(
    r'(?:conv\d*|bn\d*|norm\d*|stem|layer\d*|downsample|maxpool|pool|avgpool|'
    r'attnpool|relu|act\d*)\.'
)
_CLASSIFIERS = ('fc.', 'head.', 'heads.', 'classifier.')


def find_networks(weights: State) -> dict[str, str]:
    """Return the prefixes of the networks in a file, with whose names."""
    return {
        key.removesuffix(sign): owner
        for key in weights
        for sign, owner in _SIGNS.items()
        if key == sign or key.endswith('.' + sign)
    }


def has_network(weights: State, prefix: str) -> bool:
    """Tell whether a network that can be inferred is under a prefix."""
    return any(prefix + sign in weights for sign in _SIGNS)


def without_heads(weights: State) -> State:
    """Leave out what is no part of a network, such as its classifier."""
    if inferred_resnet.SIGN in weights:
        return {k: v for k, v in weights.items() if _RESNET.match(k)}
    return {k: v for k, v in weights.items() if not k.startswith(_CLASSIFIERS)}


def to_mmpretrain(weights: State) -> State:
    """Give the weights of a network the names of mmpretrain's."""
    if inferred_resnet.SIGN in weights:
        return weights
    if any(sign in weights for sign in inferred_swin.SIGNS):
        return inferred_swin.swin_to_mmpretrain(weights)
    if any(sign in weights for sign in inferred_xcit.SIGNS):
        return inferred_xcit.xcit_to_mmpretrain(weights)
    return inferred_vit.vit_to_mmpretrain(weights)


def infer_backbone(
    weights: State,
    path: str,
    padding: int = 1,
    num_heads: tuple[tuple[int, int], ...] = (),
    norm_epsilon: float | None = None,
) -> tuple[nn.Module, str]:
    """Build the network that weights belong to, with fresh weights.

    Args:
        weights (dict[str, Tensor]): From :func:`to_mmpretrain`.
        path (str): The file, for messages.
        padding (int): Of a ResNet's first convolution of 3x3.
        num_heads (tuple): Pairs of a ViT's width and its number of heads.
        norm_epsilon (float, optional): Of LayerNorm. Defaults to None: that
            of mmpretrain's class.

    Returns:
        tuple[nn.Module, str]: The network and its name, such as 'ResNet-50'.

    Raises:
        ValueError: If mmpretrain's classes cannot express it.
    """
    if inferred_resnet.SIGN in weights:
        return inferred_resnet.infer_resnet(weights, path, padding)
    try:
        model: nn.Module
        if inferred_swin.SIGNS[1] in weights:
            model, name = inferred_swin.infer_swin(weights)
        elif inferred_xcit.SIGNS[1] in weights:
            model, name = inferred_xcit.infer_xcit(weights)
        else:
            model, name = inferred_vit.infer_vit(weights, dict(num_heads))
    except ValueError as error:
        raise ValueError(
            f"The network in '{path}' {error}. Name the config that builds "
            'it with --config.'
        ) from error
    for module in model.modules():
        if norm_epsilon is not None and isinstance(module, nn.LayerNorm):
            module.eps = norm_epsilon
    return model, name


def assumption(model: nn.Module) -> str:
    """Return a sentence on what the weights of a network do not tell."""
    if isinstance(model, ResNet):
        return inferred_resnet.assumption(model)
    if not isinstance(model, VisionTransformer):
        norm = next(m for m in model.modules() if isinstance(m, nn.LayerNorm))
        note = f'Assumed, as weights do not tell: epsilon {norm.eps} of norms'
        if isinstance(model, XCiT):
            number = 'all' if model.ca_layers[0].tokens_norm else 'class'
            note += f', class attention that normalises {number} tokens'
        return f'{note}. If that is wrong, name a config (--config).'
    return inferred_vit.assumption(model)


def feature_width(model: nn.Module) -> int:
    """Return the width of the features of a network that was inferred."""
    width: Any = getattr(model, 'feat_dim', None) or model.embed_dims
    if isinstance(model, SwinTransformer):
        width = model.num_features[-1]
    return width
