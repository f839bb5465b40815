# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The backbone in a checkpoint, as it is, and where it comes from."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

import torch
from mmengine.config import Config

from pauc_mm.checkpoints.config import CheckpointConfig, find_config
from pauc_mm.checkpoints.file import read_checkpoint
from pauc_mm.checkpoints.inferred_resnet import SIGN
from pauc_mm.checkpoints.layouts import (
    LAYOUTS,
    Layout,
    Names,
    describe,
    names_of,
    openmm_layout,
    recognise,
    select,
)
from pauc_mm.checkpoints.notes import left_out
from pauc_mm.checkpoints.state import find_state, trained_epochs

State = dict[str, torch.Tensor]

LAYOUT_CHOICES = {
    'moco': 'official MoCo',
    'pcl': 'official MoCo',
    'mocov3': 'official MoCo v3',
    'swav': 'official SwAV',
    'dino': 'official DINO',
    'barlowtwins': 'official Barlow Twins or VICReg',
    'mmpretrain': 'mmpretrain',
    'torchvision': 'torchvision',
}
"""What a user calls a layout, and its name in LAYOUTS; PCL's is MoCo's."""

# conv2 and bn2 beside conv1 are a deep stem: kept, so that it is refused.
_BODY = re.compile(r'(?:conv\d*|bn\d*|stem|layer\d*|downsample)\.')


@dataclass
class Source:
    """The backbone of a checkpoint.

    Attributes:
        path (str): The file.
        weights (dict[str, Tensor]): Its tensors, named within the backbone.
        prefix (str): What stands before these names in the file.
        layout (Layout): Of the file.
        described (str): The layout in words.
        momentum (bool): Whether it is the momentum encoder's.
        config (CheckpointConfig, optional): Of a checkpoint of mmpretrain.
        epoch (int, optional): Epochs trained.
        meta (dict): What the file says about itself.
        notes (list[str]): Sentences for the user.
    """

    path: str
    weights: State
    prefix: str
    layout: Layout
    described: str
    momentum: bool
    config: CheckpointConfig | None = None
    epoch: int | None = None
    meta: dict = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def openmm(self) -> bool:
        """Whether it has mmpretrain's names already."""
        return self.layout.name == 'mmpretrain'


def read_source(
    path: str | os.PathLike,
    layout: str | None = None,
    prefix: str | None = None,
    momentum: bool = False,
    config: str | Config | None = None,
    trust: bool = False,
) -> Source:
    """Find the backbone in a checkpoint.

    Args:
        path (str or PathLike): The file.
        layout (str, optional): One of :data:`LAYOUT_CHOICES`. Defaults to
            None: found by the names in the file.
        prefix (str, optional): What stands before the names of a ResNet of
            torchvision's form, in the place of a layout.
        momentum (bool): Whether the momentum encoder is taken.
        config (str or Config, optional): Of a model of mmpretrain, in place
            of the checkpoint's own.
        trust (bool): Whether the file may run code when it is loaded.

    Returns:
        Source: With all tensors below the backbone's prefix.

    Raises:
        FileNotFoundError: There is no such file.
        IsADirectoryError: It is a folder.
        ValueError: It is no checkpoint, has no such backbone or several, or
            an option does not fit it.
    """
    path = os.fspath(path)
    _check_options(layout, prefix, momentum)
    checkpoint = read_checkpoint(path, trust)
    state, notes = find_state(checkpoint, path)
    kind = _layout(state, layout, prefix, 'meta' in checkpoint, path)
    names = names_of(kind, state, momentum, path)
    openmm = kind.name == 'mmpretrain'
    if config is not None and not openmm:
        raise ValueError(
            f"--config is for checkpoints of mmpretrain, and '{path}' is "
            f'{kind.name}: leave it out.'
        )
    weights = select(state, names.backbone)
    if not openmm:
        weights = _body(weights, names)
    if not weights:
        raise ValueError(
            f"'{path}' has no backbone under '{names.backbone}': its "
            f'{len(state)} keys are {_head(state)}.'
        )
    found = find_config(checkpoint, config, trust, path) if openmm else None
    notes += left_out(state, kind, Names(names.backbone))
    meta = checkpoint.get('meta')
    return Source(
        path=path,
        weights=weights,
        prefix=names.backbone,
        layout=kind,
        described=describe(kind, state, 'ResNet').replace(' ResNet', ''),
        momentum=momentum,
        config=found,
        epoch=trained_epochs(checkpoint),
        meta=meta if isinstance(meta, dict) else {},
        notes=notes,
    )


def _check_options(
    layout: str | None, prefix: str | None, momentum: bool
) -> None:
    if layout is not None and layout not in LAYOUT_CHOICES:
        raise ValueError(
            f'--layout {layout!r} is unknown: it must be one of '
            f'{", ".join(LAYOUT_CHOICES)}.'
        )
    if prefix is not None and (layout is not None or momentum):
        raise ValueError(
            '--prefix names the network itself: leave out --layout and '
            '--momentum.'
        )


def _layout(
    state: State,
    layout: str | None,
    prefix: str | None,
    has_meta: bool,
    path: str,
) -> Layout:
    if prefix is not None:
        prefix = f'{prefix.rstrip(".")}.' if prefix else ''
        chosen = [Layout('torchvision', Names(prefix))]
        option = f'--prefix {prefix!r}'
    elif layout is None:
        if has_meta and any(key.startswith('backbone.') for key in state):
            return openmm_layout(state)
        return recognise(
            state,
            path,
            'name the layout with --layout, or what stands before the keys '
            'of the ResNet with --prefix.',
        )
    elif LAYOUT_CHOICES[layout] == 'mmpretrain':
        chosen = [openmm_layout(state)]
        option = f'--layout {layout}'
    else:
        chosen = [x for x in LAYOUTS if x.name == LAYOUT_CHOICES[layout]]
        option = f'--layout {layout}'
    sign = '' if chosen[0].name == 'mmpretrain' else SIGN
    for candidate in chosen:
        nets = [n for n in (candidate.online, candidate.momentum) if n]
        if any(k.startswith(n.backbone + sign) for k in state for n in nets):
            return candidate
    raise ValueError(
        f"{option} does not fit '{path}': no key begins with "
        f"'{chosen[0].online.backbone}{sign}'. Its {len(state)} keys are "
        f'{_head(state)}.'
    )


def _body(weights: State, names: Names) -> State:
    """The keys of a ResNet, without what stands beside it."""
    head = names.head or ''
    inside = head.startswith(names.backbone) and head[len(names.backbone) :]
    return {
        key: value
        for key, value in weights.items()
        if _BODY.match(key) and not (inside and key.startswith(inside))
    }


def _head(keys, count: int = 4) -> str:
    keys = list(keys)
    return ', '.join(keys[:count]) + (', ...' if len(keys) > count else '')
