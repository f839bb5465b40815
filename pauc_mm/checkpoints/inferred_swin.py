# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Infer a Swin transformer of mmpretrain from names and shapes."""

import math
import re

from mmpretrain.models.backbones import SwinTransformer
from mmpretrain.models.utils.attention import WindowMSA
from torch import Tensor

from .file import State
from .weights import renamed

_OFFICIAL = 'layers.0.blocks.0.attn.relative_position_bias_table'
SIGNS = (
    _OFFICIAL,
    'stages.0.blocks.0.attn.w_msa.relative_position_bias_table',
)
_NAMES = (
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'^layers\.(\d+)\.', r'stages.\1.'),
    (r'\.attn\.(qkv|proj|relative_position_bias_table)', r'.attn.w_msa.\1'),
    (r'\.mlp\.fc1\.', '.ffn.layers.0.0.'),
    (r'\.mlp\.fc2\.', '.ffn.layers.1.'),
)
_UNUSED = re.compile(r'mask_token|masked_embed|.*(?:attn_mask|position_index)')
_LETTERS = {(96, 12): 'T', (96, 24): 'S', (128, 24): 'B', (192, 24): 'L'}


def swin_to_mmpretrain(weights: State) -> State:
    """Give the weights of a Swin mmpretrain's names and order of channels.

    Args:
        weights (dict[str, Tensor]): Of the official Swin, of iBOT or timm,
            without a classifier; mmpretrain's stay as they are.

    Returns:
        dict[str, Tensor]: Without masks; with the index of positions, which
        is not in files of timm.
    """
    weights = {k: v for k, v in weights.items() if not _UNUSED.fullmatch(k)}
    if _OFFICIAL in weights:
        last = len(_stages(weights, 'layers')) - 1
        # In timm's files a stage begins with it, in all others it ends so.
        if f'layers.{last}.downsample.reduction.weight' in weights:
            weights = {
                re.sub(
                    r'^layers\.(\d+)\.down',
                    lambda m: f'layers.{int(m[1]) - 1}.down',
                    key,
                ): value
                for key, value in weights.items()
            }
        weights = {
            re.sub(r'^norm\.', f'norm{last}.', key): _unfolded(value)
            if '.downsample.' in key
            else value
            for key, value in renamed(weights, _NAMES).items()
        }
    for key in [k for k in weights if k.endswith('bias_table')]:
        index = WindowMSA(1, (_window(weights[key]),) * 2, 1)
        weights[key.replace('bias_table', 'index')] = (
            index.relative_position_index
        )
    return weights


def infer_swin(weights: State) -> tuple[SwinTransformer, str]:
    """Build the Swin that weights belong to, giving the normalised last map.

    Args:
        weights (dict[str, Tensor]): From :func:`swin_to_mmpretrain`.

    Returns:
        tuple[SwinTransformer, str]: The network, with fresh weights, and its
        name, such as 'Swin-T'.
    """
    filters = weights['patch_embed.projection.weight']
    width, channels, patch = filters.shape[:3]
    depths = _stages(weights, 'stages')
    tables = [
        weights[f'stages.{i}.blocks.0.attn.w_msa.relative_position_bias_table']
        for i in range(len(depths))
    ]
    model = SwinTransformer(
        arch=dict(
            embed_dims=width,
            depths=depths,
            num_heads=[table.shape[1] for table in tables],
        ),
        patch_size=patch,
        in_channels=channels,
        drop_path_rate=0,
        out_indices=(len(depths) - 1,),
        use_abs_pos_embed='absolute_pos_embed' in weights,
        stage_cfgs=[dict(window_size=_window(table)) for table in tables],
    )
    letter = _LETTERS.get((width, sum(depths)))
    return model, f'Swin-{letter}' if letter else f'Swin (width {width})'


def _stages(weights: State, name: str) -> list[int]:
    """Return the number of blocks of each stage."""
    found = (re.match(rf'{name}\.(\d+)\.blocks\.(\d+)', k) for k in weights)
    blocks = {(int(m[1]), int(m[2])) for m in found if m}
    stages = sorted({stage for stage, _ in blocks})
    return [sum(stage == one for one, _ in blocks) for stage in stages]


def _window(table: Tensor) -> int:
    """Return the side of a window from its table of (2 side - 1)^2 rows."""
    return (math.isqrt(len(table)) + 1) // 2


def _unfolded(weight: Tensor) -> Tensor:
    """Order the channels of four merged patches as torch's Unfold does."""
    patches = weight.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :]
    return patches.transpose(-1, -2).flatten(-2)
