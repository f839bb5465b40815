# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A ResNet for plain torchvision, or with the official MoCo's names."""

from functools import partial

from pauc_mm.checkpoints.checkpoint import Checkpoint
from pauc_mm.checkpoints.file import State

from .networks import plain_torchvision, stage_maps
from .plan import (
    Plan,
    loaded,
    resnet_like,
    source_network,
    source_notes,
)

_USAGE = """model = {code}
model.fc = torch.nn.Identity()
model.load_state_dict({load})"""
_USAGE_MOCO = (
    'main_lincls.py --pretrained {path}, of the official MoCo and PCL'
)
PREFIX_OF_MOCO = 'module.encoder_q.'


def torchvision_plan(
    checkpoint: Checkpoint,
    weights: State,
    momentum: bool,
    prefix: str = '',
) -> Plan:
    """Plan to write a ResNet without a classifier.

    Those with Caffe's strides or another epsilon of BatchNorm are refused,
    as their outputs differ.
    """
    reference, name = source_network(checkpoint, weights)
    like = resnet_like(checkpoint, weights, reference)
    if like is None:
        raise ValueError(
            f"The backbone of '{checkpoint.path}' is {name}, which has no "
            'counterpart in torchvision: only ResNets are converted. --to '
            'mmpretrain, timm or onnx may write it.'
        )
    target, code = plain_torchvision(like)
    target = loaded(target, weights, 'converted weights')
    return Plan(
        loaded(reference, weights, f"weights of '{checkpoint.path}'"),
        partial(stage_maps, target),
        name,
        {prefix + key: value for key, value in weights.items()},
        _USAGE_MOCO if prefix else _USAGE.replace('{code}', code),
        source_notes(checkpoint, like, momentum),
    )
