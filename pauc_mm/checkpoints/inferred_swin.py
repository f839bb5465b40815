# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Infer a Swin transformer of mmpretrain from names and shapes."""

import math
import re

from mmpretrain.models.backbones import SwinTransformer
from mmpretrain.models.utils.attention import WindowMSA
from torch import Tensor

from .file import State
from .inferred_vit import built
from .weights import renamed

_TABLE = 'relative_position_bias_table'
SIGNS = (
    f'layers.0.blocks.0.attn.{_TABLE}',
    f'stages.0.blocks.0.attn.w_msa.{_TABLE}',
)
_NAMES = (
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'^layers\.(\d+)\.', r'stages.\1.'),
    (rf'\.attn\.(qkv|proj|{_TABLE})', r'.attn.w_msa.\1'),
    (r'\.mlp\.fc1\.', '.ffn.layers.0.0.'),
    (r'\.mlp\.fc2\.', '.ffn.layers.1.'),
)
_UNUSED = re.compile(r'mask_token|masked_embed|.*(?:attn_mask|position_index)')
_LETTERS = {(96, 12): 'T', (96, 24): 'S', (128, 24): 'B', (192, 24): 'L'}


def swin_to_mmpretrain(weights: State) -> State:
    """Give the weights of a Swin mmpretrain's names and order of channels.

    Those of the official Swin, of iBOT or timm, without a classifier;
    mmpretrain's stay as they are. Masks are left out, and the index of
    positions, which is not in files of timm, is added.
    """
    official, result = SIGNS[0] in weights, {}
    weights = renamed(weights, _NAMES)
    last = len(_depths(weights)) - 1
    # In timm's files a stage begins with the merging, in others it ends so.
    begins = f'stages.{last}.downsample.reduction.weight' in weights
    for key, value in weights.items():
        if _UNUSED.fullmatch(key):
            continue
        if match := re.fullmatch(r'stages\.(\d+)\.downsample\.(.*)', key):
            key = f'stages.{int(match[1]) - begins}.downsample.{match[2]}'
            value = _unfolded(value) if official else value
        result[re.sub(r'^norm\.', f'norm{last}.', key)] = value
        if key.endswith(_TABLE):
            index = WindowMSA(1, (_window(value),) * 2, 1)
            key = key.replace('bias_table', 'index')
            result[key] = index.relative_position_index
    return result


def infer_swin(
    weights: State, norm_epsilon: float = 1e-5
) -> tuple[SwinTransformer, str, int]:
    """Build the Swin that weights belong to, giving the normalised last map.

    Its name, such as 'Swin-T', and the channels of the map are returned too.
    """
    filters = weights['patch_embed.projection.weight']
    width, channels, patch = filters.shape[:3]
    depths = _depths(weights)
    tables = [
        weights[f'stages.{i}.blocks.0.attn.w_msa.{_TABLE}']
        for i in range(len(depths))
    ]
    heads = [table.shape[1] for table in tables]
    norm = dict(norm_cfg=dict(type='LN', eps=norm_epsilon))
    parts = dict(block_cfgs=norm, downsample_cfg=norm)
    model = built(
        SwinTransformer,
        arch=dict(embed_dims=width, depths=depths, num_heads=heads),
        patch_size=patch,
        in_channels=channels,
        drop_path_rate=0,
        out_indices=(len(depths) - 1,),
        use_abs_pos_embed='absolute_pos_embed' in weights,
        stage_cfgs=[dict(parts, window_size=_window(t)) for t in tables],
        patch_cfg=norm,
        **norm,
    )
    letter = _LETTERS.get((width, sum(depths)))
    name = f'Swin-{letter}' if letter else f'Swin (width {width})'
    return model, name, model.num_features[-1]


def _depths(weights: State) -> list[int]:
    """Return the number of blocks of each stage."""
    found = (re.match(r'stages\.(\d+)\.blocks\.(\d+)', k) for k in weights)
    stages = [stage for stage, _ in {m.groups() for m in found if m}]
    return [stages.count(stage) for stage in sorted(set(stages))]


def _window(table: Tensor) -> int:
    """Return the side of a window from its table of (2 side - 1)^2 rows."""
    return (math.isqrt(len(table)) + 1) // 2


def _unfolded(weight: Tensor) -> Tensor:
    """Order the channels of four merged patches as torch's Unfold does."""
    patches = weight.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :]
    return patches.transpose(-1, -2).flatten(-2)
