# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Infer a vision transformer of mmpretrain from names and shapes."""

import math
from typing import Any

import torch
from mmpretrain.models.backbones import VisionTransformer
from torch import nn

from pauc_mm.models.backbones import ViTWithRegisters

from .file import State
from .weights import renamed

TORCHVISION_TO_TIMM = (
    (r'^conv_proj\.', 'patch_embed.proj.'),
    (r'^class_token$', 'cls_token'),
    (r'^encoder\.pos_embedding$', 'pos_embed'),
    (r'^encoder\.layers\.encoder_layer_(\d+)\.', r'blocks.\1.'),
    (r'^encoder\.ln\.', 'norm.'),
    (r'\.ln_([12])\.', r'.norm\1.'),
    (r'\.self_attention\.in_proj_', '.attn.qkv.'),
    (r'\.self_attention\.out_proj\.', '.attn.proj.'),
    (r'\.mlp\.(?:0|linear_1)\.', '.mlp.fc1.'),
    (r'\.mlp\.(?:3|linear_2)\.', '.mlp.fc2.'),
)
TIMM_TO_MMPRETRAIN = (
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'^blocks\.(?:\d+\.)?(\d+)\.', r'layers.\1.'),  # DINOv2's are in chunks
    (r'^(?:register_tokens|reg_token)$', 'pre_norm.0.tokens'),
    (r'^norm_pre\.', 'pre_norm.'),
    (r'^norm\.', 'ln1.'),
    (r'^fc_norm\.', 'ln2.'),
    (r'\.norm([12])\.', r'.ln\1.'),
    (r'\.mlp\.fc1\.', '.ffn.layers.0.0.'),
    (r'\.mlp\.fc2\.', '.ffn.layers.1.'),
    (r'\.mlp\.(w12|w3)\.', r'.ffn.\1.'),
    (r'\.ls1\.gamma$', '.attn.gamma1.weight'),
    (r'\.ls2\.gamma$', '.ffn.gamma2.weight'),
)
_MASKS = ('mask_token', 'masked_embed')  # of training alone
_LETTERS = {192: 'Ti', 384: 'S', 768: 'B', 1024: 'L', 1280: 'H', 1536: 'g'}
_HEADS = {1280: 16, 1408: 16, 1664: 16}  # ViT-H, g and G


def vit_to_mmpretrain(weights: State) -> State:
    """Give the weights of a vision transformer mmpretrain's names.

    Those of timm, DINO, iBOT, MSN, DINOv2 or torchvision, without a
    classifier; mmpretrain's stay as they are. Mask tokens are left out, and a
    class token without a position gets a zero one.
    """
    weights = renamed(weights, TORCHVISION_TO_TIMM + TIMM_TO_MMPRETRAIN)
    positions = weights.get('pos_embed')
    if positions is not None and positions.dim() == 3:
        if math.isqrt(positions.shape[1]) ** 2 == positions.shape[1]:
            zero = torch.zeros_like(positions[:, :1])
            weights['pos_embed'] = torch.cat([zero, positions], dim=1)
    return {k: v for k, v in weights.items() if k not in _MASKS}


def infer_vit(
    weights: State, num_heads: dict[int, int]
) -> tuple[VisionTransformer, str]:
    """Build the vision transformer that weights belong to.

    It gives the class token after the last norm; where there is an
    ``fc_norm``, the mean of the patch tokens. ``num_heads`` is the number of
    heads by width, where it is not one for 64 dimensions, or for 128 above a
    width of 1536. The name that is returned is such as 'ViT-S/16'.

    Raises:
        ValueError: If mmpretrain's class cannot express it.
    """
    needed = (
        'patch_embed.projection.weight',
        'cls_token',
        'pos_embed',
        'layers.0.attn.qkv.weight',
    )
    missing = [key for key in needed if key not in weights]
    glu = 'layers.0.ffn.w12.weight'
    ffn = glu if glu in weights else 'layers.0.ffn.layers.0.0.weight'
    if missing or ffn not in weights:
        raise ValueError(
            'is no plain vision transformer: it lacks '
            f'{", ".join(missing or [ffn])} (in the names of mmpretrain)'
        )
    filters, positions = weights[needed[0]], weights['pos_embed']
    width, channels, patch = filters.shape[:3]
    side = math.isqrt(positions.shape[1] - 1)
    if positions.shape[1:] != (side**2 + 1, width):
        raise ValueError(
            f'has patches of {patch} x {patch} pixels and width {width}, but '
            f'a position embedding of shape {tuple(positions.shape)}, which '
            'is not a square grid of them with a class token'
        )
    per_head = 64 if width <= 1536 else 128
    heads = {width: width // per_head, **_HEADS, **num_heads}[width]
    if not heads or width % heads:
        raise ValueError(
            f'has width {width}, which attention heads of {per_head} '
            'dimensions do not divide'
        )
    depth = len({k.split('.')[1] for k in weights if k.startswith('layers.')})
    hidden = len(weights[ffn])
    options = dict(
        arch=dict(
            embed_dims=width,
            num_layers=depth,
            num_heads=heads,
            # SwiGLU's own layer takes two thirds of it
            feedforward_channels=hidden * 3 // 4 if ffn == glu else hidden,
        ),
        img_size=side * patch,
        patch_size=patch,
        in_channels=channels,
        qkv_bias='layers.0.attn.qkv.bias' in weights,
        layer_scale_init_value=float('layers.0.attn.gamma1.weight' in weights),
        # The official ones leave out pixels that do not fill a patch.
        patch_cfg=dict(
            bias='patch_embed.projection.bias' in weights, padding=0
        ),
        layer_cfgs=dict(ffn_type='swiglu_fused') if ffn == glu else {},
        pre_norm='pre_norm.weight' in weights,
        final_norm='ln1.weight' in weights,
        out_type='avg_featmap' if 'ln2.weight' in weights else 'cls_token',
    )
    name = f'ViT-{_LETTERS[width]}/{patch}' if width in _LETTERS else ''
    name = name or f'ViT/{patch} (width {width}, depth {depth})'
    if 'pre_norm.0.tokens' not in weights:
        return built(VisionTransformer, **options), name
    num = weights['pre_norm.0.tokens'].shape[1]
    model = built(ViTWithRegisters, num_registers=num, **options)
    return model, f'{name} with {num} registers'


def built(kind: type[nn.Module], **options: Any) -> Any:
    """Build a network that knows its config, as ``cfg``."""
    model: Any = kind(**options)
    model.cfg = dict(type=kind.__name__, **options)
    return model


def assumption(model: VisionTransformer) -> str:
    """Return a sentence on what the weights of a ViT do not tell."""
    heads = model.arch_settings['num_heads']
    height, width = model.patch_resolution
    return (
        f'Assumed, as weights do not tell: {heads} attention heads of '
        f'{model.embed_dims // heads} dimensions, GELU. If that is wrong, '
        'all results are: name a config whose model.backbone is the network '
        f'(--config). Its positions are those of {height} x {width} patches '
        f'(images of {model.img_size[0]} pixels), interpolated for others.'
    )
