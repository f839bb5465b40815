# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A ResNet for plain torchvision, or with the official MoCo's names."""

from functools import partial

from .networks import plain_torchvision, stage_maps
from .plan import Plan, Source, loaded

_USAGE = """model = {code}
model.fc = torch.nn.Identity()
model.load_state_dict({load})"""
_USAGE_MOCO = (
    'main_lincls.py --pretrained {path}, of the official MoCo and PCL'
)
PREFIX_OF_MOCO = 'module.encoder_q.'


def torchvision_plan(source: Source, prefix: str = '') -> Plan:
    """Plan to write a ResNet without a classifier.

    Those with Caffe's strides or another epsilon of BatchNorm are refused,
    as their outputs differ.
    """
    if source.like is None:
        raise ValueError(
            f"The backbone of '{source.checkpoint.path}' is {source.name}, "
            'which has no counterpart in torchvision: only ResNets are '
            'converted. --to mmpretrain, timm or onnx may write it.'
        )
    target, code = plain_torchvision(source.like)
    return Plan(
        partial(stage_maps, loaded(target, source.weights)),
        {prefix + key: value for key, value in source.weights.items()},
        _USAGE_MOCO if prefix else _USAGE.replace('{code}', code),
    )
