# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Infer an XCiT of mmpretrain from names and shapes."""

import re

from mmpretrain.models.backbones import XCiT

from .file import State
from .weights import renamed

SIGNS = ('patch_embed.proj.0.0.weight', 'patch_embed.proj.0.conv.weight')
_NAMES = (
    *(
        (
            rf'^patch_embed\.proj\.{2 * i}\.{j}\.',
            f'patch_embed.proj.{i}.{part}.',
        )
        for i in range(4)
        for j, part in enumerate(('conv', 'bn'))
    ),
    (
        r'^pos_embed(?:er)?\.token_projection\.(?=weight|bias)',
        'pos_embed.token_projection.conv.',
    ),
    (r'^(blocks\.\d+\.local_mp)\.(conv[12])\.', r'\1.\2.conv.'),
    (r'^(blocks\.\d+\.local_mp)\.bn\.', r'\1.conv1.bn.'),
    (r'^blocks\.', 'xca_layers.'),
    (r'^cls_attn_blocks\.', 'ca_layers.'),
    (r'\.mlp\.fc1\.', '.ffn.layers.0.0.'),
    (r'\.mlp\.fc2\.', '.ffn.layers.1.'),
)


def xcit_to_mmpretrain(weights: State) -> State:
    """Give the weights of an official XCiT or timm's mmpretrain's names."""
    result = {}
    for key, value in renamed(weights, _NAMES).items():
        if match := re.fullmatch(r'(ca_layers\.\d+\.attn\.)qkv\.(\w+)', key):
            for name, part in zip('qkv', value.chunk(3)):
                result[f'{match[1]}{name}.{match[2]}'] = part
        else:
            result[key] = value
    return result


def infer_xcit(weights: State) -> tuple[XCiT, str]:
    """Build the XCiT that weights belong to, giving the class token.

    Args:
        weights (dict[str, Tensor]): From :func:`xcit_to_mmpretrain`.

    Returns:
        tuple[XCiT, str]: The network, with fresh weights, and its name.

    Raises:
        ValueError: If tensors that tell its sizes are missing.
    """
    needed = (
        'cls_token',
        'xca_layers.0.attn.temperature',
        'xca_layers.0.ffn.layers.0.0.weight',
    )
    if missing := [key for key in needed if key not in weights]:
        raise ValueError(f'is no plain XCiT: it lacks {", ".join(missing)}')
    token, temperature, ffn = (weights[key] for key in needed)
    width = token.shape[-1]
    numbers = [k.split('.') for k in weights]
    depths = [
        len({n[1] for n in numbers if n[0] == name})
        for name in ('xca_layers', 'ca_layers')
    ]
    convolutions = [k for k in weights if re.match(r'patch.*conv\.weight', k)]
    patch = 2 ** len(convolutions)
    model = XCiT(
        patch_size=patch,
        in_channels=weights[convolutions[0]].shape[1],
        embed_dims=width,
        depth=depths[0],
        cls_attn_layers=depths[1],
        num_heads=len(temperature),
        mlp_ratio=len(ffn) / width,
        use_pos_embed='pos_embed.token_projection.conv.weight' in weights,
        tokens_norm=width != 128,  # all XCiTs but the nano
    )
    return model, f'XCiT/{patch} (width {width}, depth {depths[0]})'
