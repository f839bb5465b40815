# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the user of an encoder is told about how it was loaded."""

from __future__ import annotations

import torch
from torch import nn

from .layouts import Layout, Names


def guesses(
    layout: Layout,
    names: Names,
    backbone: nn.Module,
    momentum: bool,
) -> list[str]:
    """What was assumed about networks that no config describes.

    Args:
        layout (Layout): The layout.
        names (Names): Of the encoder that was taken.
        backbone (nn.Module): The inferred ResNet.
        momentum (bool): Whether the momentum encoder was taken.

    Returns:
        list[str]: Sentences for the user.
    """
    notes = []
    if not hasattr(backbone, 'maxpool'):
        notes.append(
            'The first convolution is 3x3: it was taken for the CIFAR form '
            'of a ResNet, with stride 1 and no pooling after it.'
        )
    if layout.name == 'torchvision' and names.head:
        notes.append(
            f"'{names.head}' was taken for the projection head, with ReLU "
            'between its layers.'
        )
    if layout.name == 'official DINO' and not momentum:
        notes.append(
            'This is the student; DINO evaluates its teacher, which '
            'momentum=True (--momentum) takes.'
        )
    return notes


def left_out(
    state: dict[str, torch.Tensor], layout: Layout, names: Names
) -> list[str]:
    """Name the weights that are not part of this encoder.

    Args:
        state (dict[str, Tensor]): The weights of the checkpoint.
        layout (Layout): The layout.
        names (Names): Of the encoder that was taken.

    Returns:
        list[str]: One sentence, or none.
    """
    used = tuple(p for p in (names.head, names.prototypes) if p)
    if layout.name == 'mmpretrain':
        used += ('prototypes.',)
    body = tuple(
        names.backbone + part for part in ('conv1.', 'bn1.', 'stem.', 'layer')
    )
    if names.backbone and layout.name == 'mmpretrain':
        body = (names.backbone,)
    rest: dict[str, int] = {}
    for key in state:
        if not key.startswith(used + body):
            group = key.partition('.')[0]
            rest[group] = rest.get(group, 0) + 1
    if not rest:
        return []
    groups = ', '.join(f'{group} ({n})' for group, n in rest.items())
    return [f'Left out, with their number of tensors: {groups}.']
