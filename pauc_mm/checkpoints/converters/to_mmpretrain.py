# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import os
from typing import Any

from pauc_mm.checkpoints.checkpoint import Checkpoint
from pauc_mm.checkpoints.file import State
from pauc_mm.checkpoints.inferred_resnet import infer_resnet
from pauc_mm.checkpoints.layouts import Names

from .conversion import Conversion, Plan, convert
from .extract_backbone import PREFIX, USAGE, openmm_plan
from .networks import StagedResNet, backbone_config, build_resnet


def to_mmpretrain(
    source: str | os.PathLike, destination: str | os.PathLike, **options: Any
) -> Conversion:
    """Write the ResNet of any known checkpoint under mmpretrain's names.

    The outputs of the source's network and of mmpretrain's are compared
    before anything is written. From a checkpoint of mmpretrain the backbone
    is extracted.

    Args:
        source (str or PathLike): Checkpoint of PCL, MoCo, SwAV, DINO,
            torchvision and others.
        destination (str or PathLike): File to write.
        **options: See :func:`~.conversion.convert`, also for what is raised.

    Returns:
        Conversion: The file holds the weights as 'backbone.NAME'.
    """
    return convert(_plan, 'to_mmpretrain', source, destination, **options)


def _plan(checkpoint: Checkpoint, weights: State, momentum: bool) -> Plan:
    if checkpoint.layout.is_openmm or checkpoint.config is not None:
        return openmm_plan(checkpoint, weights)
    like, name = infer_resnet(
        weights, checkpoint.path, checkpoint.layout.stem_padding
    )
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
