# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A frozen encoder takes all weights or none; a new case is a row."""

import pytest
import torch
from torch import nn

from pauc_mm.checkpoints.weights import matching_names
from tests.helpers import load_encoder
from tests.test_checkpoints.source_models import small_resnet
from tests.test_checkpoints.test_converters.helpers import to_mmpretrain


def without(state, start):
    return {k: v for k, v in state.items() if not k.startswith(start)}


CASES = {
    'a convolution is missing': (
        lambda s: without(s, 'layer2.0.conv2'),
        r'1 missing: layer2\.0\.conv2\.weight',
    ),
    'statistics are missing': (
        lambda s: without(s, 'layer3.0.bn1.running_mean'),
        r'1 missing: layer3\.0\.bn1\.running_mean',
    ),
    'a convolution of another shape': (
        lambda s: {**s, 'layer2.0.conv2.weight': torch.zeros(16, 16, 1, 1)},
        r'another shape: layer2\.0\.conv2\.weight',
    ),
    'a shortcut is missing': (
        lambda s: without(s, 'layer4.0.downsample'),
        r'missing: layer4\.0\.downsample\.0\.weight',
    ),
    'a block is missing': (
        lambda s: {**s, **_block(s, 'layer2.1')},
        r'stages of \[1, 2, 1, 1\] blocks',
    ),
    'a stage is missing': (
        lambda s: without(s, 'layer4'),
        r'stages of \[1, 1, 1\] blocks',
    ),
    'a filter before the pooling': (
        lambda s: {**s, 'maxpool.1.filt': torch.ones(64, 1, 3, 3)},
        r'it also has maxpool\.1\.filt',
    ),
    'attention': (
        lambda s: {**s, 'layer2.0.se.fc.weight': torch.ones(4, 4)},
        r'it also has layer2\.0\.se\.fc\.weight',
    ),
    'a bias more': (
        lambda s: {**s, 'conv1.bias': torch.zeros(64)},
        r'1 unknown: conv1\.bias',
    ),
}


def _block(state, name):
    return {
        k.replace('layer2.0', name): v
        for k, v in state.items()
        if k.startswith('layer2.0') and 'downsample' not in k
    }


@pytest.mark.verdict('refused')
@pytest.mark.parametrize('prefix', ['', 'module.encoder_q.', 'backbone.'])
@pytest.mark.parametrize('case', CASES)
def test_not_all_weights_of_a_backbone(tmp_path, case, prefix):
    change, message = CASES[case]
    state = change(small_resnet().state_dict())
    path = tmp_path / 'a.pth'
    torch.save({prefix + k: v for k, v in state.items()}, path)
    with pytest.raises(ValueError, match=message):
        load_encoder(path)
    with pytest.raises(ValueError, match=message):
        to_mmpretrain(path, tmp_path / 'x.pth')


@pytest.mark.parametrize(
    'frozen, verdict',
    [
        (None, 'works'),
        ('0', 'works'),
        ('4', r'refused: fewer than 100%.*4\.bias'),
    ],
)
def test_fine_tuning_from_nine_tenths(ends, frozen, verdict):
    """Enough to begin a training with, but not for a layer that is frozen."""
    net = nn.ModuleDict({str(i): nn.Linear(2, 2) for i in range(5)})
    weights = net.state_dict()
    del weights['4.bias']
    if frozen:
        net[frozen].requires_grad_(False)
    with ends(verdict):
        names = matching_names({'backbone': net}, weights, 'a.pth')
        assert len(names['backbone']) == 9


@pytest.mark.verdict('works')
def test_position_embeddings_of_another_size_are_resized():
    net = nn.Linear(2, 2).requires_grad_(False)
    net.pos_embed = nn.Parameter(torch.zeros(1, 9, 2), requires_grad=False)
    weights = {**net.state_dict(), 'pos_embed': torch.zeros(1, 4, 2)}
    names = matching_names({'backbone': net}, weights, 'a.pth')
    assert names == {'backbone': ['weight', 'bias']}


@pytest.mark.verdict('refused')
def test_weights_that_are_not_finite_in_fine_tuning():
    net = nn.Linear(2, 2)
    weights = {**net.state_dict(), 'bias': torch.tensor([0, float('nan')])}
    with pytest.raises(ValueError, match=r"'a\.pth' has NaN.*first bias"):
        matching_names({'backbone': net}, weights, 'a.pth')
