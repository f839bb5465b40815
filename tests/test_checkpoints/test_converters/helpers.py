# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Networks and files for the converters' tests."""

from functools import partial

import torch
from mmpretrain.models.backbones import ResNet
from torch import nn
from torchvision.models.resnet import Bottleneck

from pauc_mm.checkpoints.converters import export
from tests.test_checkpoints.source_models import shaken

to_mmpretrain = partial(export, to='mmpretrain')
to_torchvision = partial(export, to='torchvision')


def load(path):
    return torch.load(path, weights_only=True)


def saved(folder, content, name='source.pth.tar', **options):
    torch.save(content, folder / name, **options)
    return folder / name


def body(module):
    """State of a ResNet without the classifier or the projection."""
    return {
        k: v
        for k, v in module.state_dict().items()
        if k.startswith(('conv1.', 'bn1.', 'layer'))
    }


def assert_same(first, second):
    """Bit for bit: the same names, types and values."""
    assert list(first) == list(second)
    for key, value in first.items():
        assert value.dtype == second[key].dtype, key
        assert torch.equal(value, second[key]), key


def openmm_resnet(**options):
    """A ResNet-18 of mmpretrain with weights and statistics of its own."""
    torch.manual_seed(1)
    return shaken_openmm(ResNet(**dict(dict(depth=18), **options)))


def shaken_openmm(model):
    model.init_weights()
    shaken(model)
    for name, value in model.named_buffers():
        if name.endswith('num_batches_tracked'):
            value.fill_(1234)
    return model


def maps(model, batch):
    with torch.no_grad():
        return model(batch)


class WideSwAV(nn.Module):
    """The widened ResNet of swav's src/resnet50.py, a quarter as wide.

    There a block has planes * widen inner channels for planes = 64 * widen,
    the stem has 64 * widen, and a block gives 4 * planes.
    """

    def __init__(self, widen, planes=16):
        super().__init__()
        self.padding = nn.ConstantPad2d(1, 0.0)
        self.conv1 = nn.Conv2d(3, planes, 7, stride=2, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        channels = planes
        for i in range(4):
            outer, stride = 4 * planes, 1 if i == 0 else 2
            downsample = nn.Sequential(
                nn.Conv2d(channels, outer, 1, stride, bias=False),
                nn.BatchNorm2d(outer),
            )
            block = Bottleneck(
                channels, planes, stride, downsample, base_width=64 * widen
            )
            setattr(self, f'layer{i + 1}', nn.Sequential(block))
            channels, planes = outer, 2 * planes
        self.prototypes = nn.Linear(8, 5, bias=False)
        self.projection_head = nn.Linear(channels, 8)
        shaken(self)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(self.padding(x))))
        x = nn.functional.max_pool2d(x, 3, 2, 1)
        result = []
        for i in range(1, 5):
            x = getattr(self, f'layer{i}')(x)
            result.append(x)
        return result
