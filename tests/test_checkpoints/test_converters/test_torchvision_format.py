# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""mmpretrain's ResNets in torchvision's, and both ways."""

import pytest
import torch
import torchvision
from torch import nn

from pauc_mm.checkpoints.converters import export, networks
from tests.test_checkpoints.source_models import (
    OfficialMoCo,
    OfficialSwAV,
    images,
    wrapped,
)
from tests.test_checkpoints.test_converters.helpers import (
    WideSwAV,
    assert_same,
    load,
    maps,
    openmm_resnet,
    saved,
    to_mmpretrain,
    to_torchvision,
)

CONFIG = "model = dict(type='MoCo', backbone=dict(type='ResNet', {}))\n"


def openmm_file(tmp_path, model, config=None, **more):
    state = dict(wrapped(model, 'backbone.'), **more)
    meta = dict(epoch=30)
    if config is not None:
        meta['cfg'] = config
    return saved(tmp_path, dict(meta=meta, state_dict=state))


@pytest.mark.parametrize(
    'depth', [18, pytest.param(50, marks=pytest.mark.slow)]
)
def test_round_trip_bit_for_bit(tmp_path, depth):
    """to_mmpretrain(to_torchvision(x)) == x, and torchvision computes x."""
    model = openmm_resnet(depth=depth)
    head = {'head.fc.weight': torch.zeros(3, 2)}
    path = openmm_file(tmp_path, model, **head)
    result = to_torchvision(path, tmp_path / 'tv.pth')
    to_mmpretrain(tmp_path / 'tv.pth', tmp_path / 'back.pth')
    back = load(tmp_path / 'back.pth')
    assert_same(back['state_dict'], wrapped(model, 'backbone.'))
    assert back['meta']['previous']['epoch'] == 30
    assert back['meta']['previous']['layout'] == 'mmpretrain'

    plain = getattr(torchvision.models, f'resnet{depth}')()
    plain.fc = nn.Identity()
    plain.load_state_dict(load(tmp_path / 'tv.pth')['state_dict'])
    plain.eval()
    features = maps(model, images(size=64))[-1].mean((2, 3))
    expected = maps(plain, images(size=64))
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5)
    assert f'torchvision.models.resnet{depth}()' in result.usage


@pytest.mark.slow
def test_printed_code_loads_the_file(tmp_path):
    path = openmm_file(tmp_path, openmm_resnet(base_channels=64))
    result = to_torchvision(path, tmp_path / 'tv.pth')
    names = dict(torch=torch, torchvision=torchvision)
    exec(result.usage, names)
    assert_same(
        {k: v for k, v in names['model'].state_dict().items()},
        dict(load(result.path)['state_dict']),
    )


@pytest.mark.slow
def test_wide(tmp_path):
    model = openmm_resnet(depth=50, base_channels=32, expansion=8)
    path = openmm_file(tmp_path, model)
    result = to_torchvision(path, tmp_path / 'tv.pth')
    names = dict(torch=torch, torchvision=torchvision)
    exec(result.usage, names)
    plain = names['model'].eval()
    features = maps(model, images())[-1].mean((2, 3))
    expected = maps(plain, images())
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5)
    assert '[3, 4, 6, 3], width_per_group=32' in result.usage


@pytest.mark.parametrize('key, name', list(networks.NAMES.items()))
def test_names_of_torchvisions_builders(key, name):
    block, counts, width = key
    with torch.device('meta'):
        plain = torchvision.models.get_model(name)
    stages = [getattr(plain, f'layer{i}') for i in range(1, 5)]
    assert tuple(map(len, stages)) == counts
    assert type(plain.layer1[0]).__name__ == block
    assert plain.layer1[0].conv2.in_channels == width


@pytest.mark.slow
def test_names_of_the_official_moco(tmp_path):
    """Read it as main_lincls.py of MoCo and PCL does."""
    model = openmm_resnet()
    path = openmm_file(tmp_path, model)
    result = export(path, tmp_path / 'x.pth.tar', 'moco')
    state = load(result.path)['state_dict']
    prefix = 'module.encoder_q.'
    assert all(key.startswith(prefix) for key in state)
    plain = torchvision.models.resnet18()
    message = plain.load_state_dict(
        {k[len(prefix) :]: v for k, v in state.items()}, strict=False
    )
    assert set(message.missing_keys) == {'fc.weight', 'fc.bias'}
    assert not message.unexpected_keys
    # It is a checkpoint of MoCo for this converter too.
    back = to_mmpretrain(result.path, tmp_path / 'back.pth')
    assert back.meta['layout'].startswith('official MoCo')
    assert_same(load(back.path)['state_dict'], wrapped(model, 'backbone.'))


@pytest.mark.parametrize('official', [OfficialMoCo, OfficialSwAV])
def test_narrow_ones_are_refused(tmp_path, official):
    """These have 8 channels behind the first stage, torchvision's have 64."""
    path = saved(tmp_path, wrapped(official(5)))
    with pytest.raises(ValueError, match=r'\(7, 64, 8, 4\)'):
        to_torchvision(path, tmp_path / 'x.pth')


def test_wide_swav_is_refused(tmp_path):
    path = saved(tmp_path, wrapped(WideSwAV(2)))
    with pytest.raises(ValueError, match=r'\(7, 16, 64, 4\)'):
        to_torchvision(path, tmp_path / 'x.pth')


@pytest.mark.slow
@pytest.mark.parametrize(
    'options',
    [
        dict(depth=50, style='caffe'),
        dict(depth=18, norm_cfg=dict(type='BN', eps=1e-3)),
    ],
)
def test_what_only_the_config_tells(tmp_path, options):
    """Names and shapes are torchvision's, the network is not."""
    model = openmm_resnet(**options)
    text = ', '.join(f'{k}={v!r}' for k, v in options.items())
    path = openmm_file(tmp_path, model, CONFIG.format(text))
    with pytest.raises(RuntimeError, match='computes something else'):
        to_torchvision(path, tmp_path / 'x.pth')
    assert not (tmp_path / 'x.pth').exists()


@pytest.mark.slow
def test_config_that_is_named(tmp_path):
    path = openmm_file(tmp_path, openmm_resnet())
    config = tmp_path / 'caffe.py'
    # Of a BasicBlock the style means nothing; another epsilon does.
    config.write_text(CONFIG.format("depth=18, norm_cfg=dict(type='BN')"))
    to_torchvision(path, tmp_path / 'x.pth', config=str(config))
    norm = "depth=18, norm_cfg=dict(type='BN', eps=0.1)"
    config.write_text(CONFIG.format(norm))
    with pytest.raises(RuntimeError, match='computes something else'):
        to_torchvision(path, tmp_path / 'y.pth', config=str(config))
    config.write_text(CONFIG.format('depth=34'))
    with pytest.raises(ValueError, match='missing: layer1.2.conv1.weight'):
        to_torchvision(path, tmp_path / 'y.pth', config=str(config))


@pytest.mark.slow
def test_other_stems(tmp_path):
    deep = openmm_resnet(depth=50, deep_stem=True, stem_channels=64)
    path = openmm_file(tmp_path, deep)
    with pytest.raises(ValueError, match=r'also has stem\.0\.'):
        to_torchvision(path, tmp_path / 'x.pth')
    state = openmm_resnet().state_dict()
    state['conv1.weight'] = torch.randn(64, 3, 3, 3)
    path = saved(tmp_path, state)
    with pytest.raises(ValueError, match=r'got \(3, '):
        to_torchvision(path, tmp_path / 'x.pth')


def test_tiny_conv_net_has_no_counterpart(tmp_path, trained):
    with pytest.raises(ValueError, match='TinyConvNet.*no counterpart'):
        to_torchvision(trained, tmp_path / 'x.pth')
