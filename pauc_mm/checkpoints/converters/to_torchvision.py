# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import os
from functools import partial
from typing import Any

from mmpretrain.models.backbones import ResNet

from pauc_mm.checkpoints.checkpoint import Checkpoint
from pauc_mm.checkpoints.file import State
from pauc_mm.checkpoints.inferred_resnet import infer_resnet
from pauc_mm.checkpoints.layouts import Names
from pauc_mm.utils.checks import check_choice

from .conversion import Conversion, Plan, convert
from .extract_backbone import openmm_network
from .networks import StagedResNet, plain_torchvision, stage_maps

NAMES = {'torchvision': '', 'moco': 'module.encoder_q.'}
"""Prefix of torchvision's names in the new file."""

_USAGE = """model = {code}
model.fc = torch.nn.Identity()
model.load_state_dict(torch.load('{{path}}')['state_dict'])"""
_USAGE_MOCO = (
    'main_lincls.py --pretrained {path}, of the official MoCo and PCL'
)


def to_torchvision(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    names: str = 'torchvision',
    **options: Any,
) -> Conversion:
    """Write the ResNet of any known checkpoint under torchvision's names.

    The outputs of the source's network and of torchvision's are compared
    before anything is written: those of a ResNet with Caffe's strides or
    another epsilon of BatchNorm differ.

    Args:
        source (str or PathLike): Checkpoint of pauc_mm, mmpretrain, or one
            of those that :func:`to_mmpretrain` knows.
        destination (str or PathLike): File to write.
        names (str): 'torchvision', or 'moco' for the names in checkpoints of
            the official MoCo and PCL.
        **options: See :func:`~.conversion.convert`, also for what is raised.

    Returns:
        Conversion: The file holds the weights without a classifier.
    """
    check_choice('names', names, tuple(NAMES))
    plan = partial(_plan, names)
    name = f'to_torchvision ({names})'
    return convert(plan, name, source, destination, **options)


def _plan(
    names: str, checkpoint: Checkpoint, weights: State, momentum: bool
) -> Plan:
    reference, notes = None, []
    if checkpoint.layout.is_openmm or checkpoint.config is not None:
        reference, name = openmm_network(checkpoint, weights)
        notes = checkpoint.config.notes if checkpoint.config else []
        if not isinstance(reference, ResNet):
            raise ValueError(
                f"The backbone of '{checkpoint.path}' is {name}, which has no "
                'counterpart in torchvision: only ResNets are converted. '
                'tools/converters/extract_backbone.py writes it alone.'
            )
    like, name = infer_resnet(
        weights, checkpoint.path, checkpoint.layout.stem_padding
    )
    if checkpoint.config is None:
        prefixes = Names(checkpoint.names(momentum).backbone)
        notes = checkpoint.assumptions(like, prefixes, momentum)
    target, code = plain_torchvision(like)
    return Plan(
        reference or StagedResNet(like),
        target,
        name,
        NAMES[names],
        _USAGE_MOCO if names == 'moco' else _USAGE.format(code=code),
        notes,
        maps=stage_maps,
    )
