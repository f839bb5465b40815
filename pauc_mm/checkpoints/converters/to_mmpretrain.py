# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

from mmengine.config import Config

from pauc_mm.checkpoints.checkpoint import Checkpoint
from pauc_mm.checkpoints.file import State
from pauc_mm.checkpoints.layouts import Names

from .conversion import Conversion, Plan, convert
from .extract_backbone import PREFIX, USAGE, openmm_plan
from .networks import StagedResNet, backbone_config, build_resnet, resnet_of


def to_mmpretrain(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    layout: str | None = None,
    prefix: str | None = None,
    momentum: bool = False,
    config: str | Config | None = None,
    trust: bool = False,
    force: bool = False,
) -> Conversion:
    """Write the ResNet of any known checkpoint under mmpretrain's names.

    The outputs of the source's network and of mmpretrain's are compared
    before anything is written. Of a checkpoint of mmpretrain the backbone is
    extracted.

    Args:
        source (str or PathLike): Checkpoint of PCL, MoCo, SwAV, DINO,
            torchvision and others.
        destination (str or PathLike): File to write.
        layout (str, optional): One of
            :data:`~pauc_mm.checkpoints.layouts.LAYOUT_CHOICES`. Defaults to
            None: found by the names in the file.
        prefix (str, optional): Prefix of the names of the ResNet.
        momentum (bool): Whether the momentum encoder is taken.
        config (str or Config, optional): Config of a model of mmpretrain.
        trust (bool): Whether the source may run code when it is loaded.
        force (bool): Whether the destination may exist.

    Returns:
        Conversion: The file holds the weights as 'backbone.NAME' under
        'state_dict', and its origin under 'meta'.

    Raises:
        OSError: If the source cannot be read, or the destination written.
        ValueError: If the source has no such network, or not all of it.
        RuntimeError: If the two networks' outputs differ.
    """
    return convert(
        _plan,
        'to_mmpretrain',
        source,
        destination,
        momentum,
        force,
        layout=layout,
        prefix=prefix,
        config=config,
        trust=trust,
    )


def _plan(checkpoint: Checkpoint, weights: State, momentum: bool) -> Plan:
    if checkpoint.layout.is_openmm:
        return openmm_plan(checkpoint, weights)
    like, name = resnet_of(weights, checkpoint.path)
    cfg = backbone_config(like)
    names = Names(checkpoint.names(momentum).backbone)
    notes = checkpoint.assumptions(like, names, momentum)
    code = '...'
    if cfg is None:
        notes.append(
            f"No depth of mmpretrain's ResNet has the blocks of this {name}, "
            f'{list(like.stage_blocks)}: only a class of your own loads it.'
        )
    else:
        code = ', '.join(f'{key}={value!r}' for key, value in cfg.items())
    return Plan(
        StagedResNet(like),
        build_resnet(like, cfg),
        name,
        PREFIX,
        USAGE.format(backbone=code),
        notes,
        cfg,
    )
