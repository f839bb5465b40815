# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Recognise a network by the names of its weights, and build it."""

import re
from typing import Any

from mmpretrain.models.backbones import ResNet, SwinTransformer
from torch import nn

from . import inferred_resnet, inferred_swin, inferred_vit
from .file import State

_XCIT = 'patch_embed.proj.0.0.weight'
_CAPI = 'encoder.blocks.0.residual1.fn.q_proj.weight'
# Key that each kind of network has, and whose names these are.
_SIGNS = {
    inferred_resnet.SIGN: 'torchvision',
    'conv_proj.weight': 'torchvision',
    'patch_embed.proj.weight': 'timm',
    'patch_embed.projection.weight': 'mmpretrain',
    _XCIT: 'timm',
    _CAPI: 'CAPI',
}
_REFUSED = {_XCIT: 'an XCiT', _CAPI: "CAPI's, with rotary positions"}
KNOWN = re.compile(
    inferred_resnet.PARAMETER.pattern + r'|(?:cls|mask|reg|class)_token|'
    r'pos_embed|masked_embed|register_tokens|conv_proj\..*|'
    r'(?:patch_embed|norm|norm_pre|fc_norm|ln[12]|norm3)\..*|'
    r'(?:blocks|layers|stages)\.\d+\..*|encoder\.(?:ln|pos_emb|layers).*'
)
"""Names in the networks that can be inferred."""

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
    """Tell whether a network is under a prefix."""
    return any(prefix + sign in weights for sign in _SIGNS)


def without_heads(weights: State) -> State:
    """Leave out what is no part of a network, such as its classifier."""
    if inferred_resnet.SIGN in weights:
        return {k: v for k, v in weights.items() if _RESNET.match(k)}
    return {k: v for k, v in weights.items() if not k.startswith(_CLASSIFIERS)}


def to_mmpretrain(weights: State, path: str) -> State:
    """Give the weights of a network the names of mmpretrain's.

    Raises:
        ValueError: If it is known, but mmpretrain has none; ``path`` is the
            file.
    """
    for sign, kind in _REFUSED.items():
        if sign in weights:
            raise ValueError(
                f"The network in '{path}' is {kind}, which is not read; its "
                'prototypes are, by tools/analysis/prototypes.py.'
            )
    if inferred_resnet.SIGN in weights:
        return weights
    if any(sign in weights for sign in inferred_swin.SIGNS):
        return inferred_swin.swin_to_mmpretrain(weights)
    return inferred_vit.vit_to_mmpretrain(weights)


def infer_backbone(
    weights: State,
    path: str,
    padding: int = 1,
    num_heads: dict[int, int] | None = None,
    **swin: float,
) -> tuple[nn.Module, str, int]:
    """Build the network that weights belong to, with fresh weights.

    Args:
        weights (dict[str, Tensor]): From :func:`to_mmpretrain`.
        path (str): The file, for messages.
        padding (int): Of a ResNet's first convolution of 3x3.
        num_heads (dict, optional): Width of a ViT to its number of heads.
        **swin: ``norm_epsilon`` of a Swin's LayerNorm.

    Returns:
        tuple[nn.Module, str, int]: The network, its name, such as
        'ResNet-50', and the width of its features.

    Raises:
        ValueError: If mmpretrain's classes cannot express it.
    """
    model: Any
    try:
        if inferred_resnet.SIGN in weights:
            model, name = inferred_resnet.infer_resnet(weights, padding)
            width = model.feat_dim
        elif inferred_swin.SIGNS[1] in weights:
            model, name, width = inferred_swin.infer_swin(weights, **swin)
        else:
            model, name = inferred_vit.infer_vit(weights, num_heads or {})
            width = weights['cls_token'].shape[-1]
    except ValueError as error:
        raise ValueError(
            f"The network in '{path}' {error}. Name the config that builds "
            'it with --config.'
        ) from error
    return model, name, width


def assumption(model: nn.Module) -> str:
    """Return a sentence on what the weights of a network do not tell."""
    if isinstance(model, ResNet):
        return inferred_resnet.assumption(model)
    if isinstance(model, SwinTransformer):
        eps = model.patch_embed.norm.eps
        return f'Assumed, as weights do not tell: norms of epsilon {eps}.'
    return inferred_vit.assumption(model)
