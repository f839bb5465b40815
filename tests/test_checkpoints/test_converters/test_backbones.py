# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The backbone alone of a real training run, and of any model."""

import copy

import pytest
import torch
from mmengine.config import Config

from pauc_mm.checkpoints.config import CheckpointConfig
from pauc_mm.models import TinyConvNet
from tests.helpers import load_encoder, model_cfg
from tests.test_checkpoints.source_models import (
    images,
    wrapped,
)
from tests.test_checkpoints.test_converters.helpers import (
    assert_same,
    load,
    openmm_resnet,
    saved,
    to_mmpretrain,
)


@pytest.mark.parametrize('momentum', [False, True])
def test_a_trained_tiny_conv_net(tmp_path, trained, momentum):
    target = tmp_path / 'backbone.pth'
    result = to_mmpretrain(trained, target, momentum=momentum)
    file = load(target)
    prefix = 'encoder_k.module.0.' if momentum else 'backbone.'
    source = {
        'backbone.' + k[len(prefix) :]: v
        for k, v in load(trained)['state_dict'].items()
        if k.startswith(prefix)
    }
    assert len(source) == 12
    assert_same(file['state_dict'], source)
    assert set(file) == {'meta', 'state_dict'}
    assert target.stat().st_size < trained.stat().st_size / 3
    meta = file['meta']
    assert meta['network'] == prefix[:-1]
    assert meta['momentum_encoder'] is momentum
    assert meta['epoch'] == 2 and meta['source'] == 'epoch_2.pth'
    assert meta['architecture'] == 'TinyConvNet'
    assert str(trained.parent) not in repr(meta)
    assert result.num_tensors == 12

    old = load_encoder(trained, momentum=momentum)
    new = load_encoder(target)
    batch = images(size=8)
    assert torch.equal(new.embed(batch)[0], old.embed(batch)[0])
    assert new.neck is None and new.epoch == 2
    assert new.preprocess == old.preprocess
    assert new.pipeline == old.pipeline == [dict(type='PackInputs')]


def test_online_and_momentum_differ(tmp_path, trained):
    files = []
    for momentum in (False, True):
        to_mmpretrain(trained, tmp_path / 'x', momentum=momentum, force=True)
        files.append(load(tmp_path / 'x')['state_dict'])
    key = 'backbone.layers.0.conv.weight'
    assert not torch.equal(files[0][key], files[1][key])


def tiny_file(tmp_path, text=None):
    model = TinyConvNet(channels=(8, 16), strides=(1, 2))
    meta = {} if text is None else dict(cfg=text)
    state = wrapped(model, 'backbone.')
    return saved(tmp_path, dict(meta=meta, state_dict=state))


@pytest.mark.slow
def test_without_a_config(tmp_path):
    path = tiny_file(tmp_path)
    with pytest.raises(ValueError, match=r'layers\.0.*--config'):
        to_mmpretrain(path, tmp_path / 'x.pth')
    config = Config(dict(model=model_cfg()))
    result = to_mmpretrain(path, tmp_path / 'x.pth', config=config)
    assert result.meta['architecture'] == 'TinyConvNet'
    assert load_encoder(tmp_path / 'x.pth').config is not None
    model = openmm_resnet()
    path = saved(
        tmp_path, dict(meta={}, state_dict=wrapped(model, 'backbone.'))
    )
    result = to_mmpretrain(path, tmp_path / 'r.pth')
    assert result.meta['backbone'] == dict(type='ResNet', depth=18)
    assert 'cfg' not in load(tmp_path / 'r.pth')['meta']


def test_weights_that_do_not_fit_the_config(tmp_path):
    path = tiny_file(tmp_path)
    config = Config(dict(model=model_cfg()))
    config.model.backbone.channels = (8, 16, 16)
    config.model.backbone.strides = (1, 2, 1)
    with pytest.raises(ValueError, match='missing: layers.2.conv.weight'):
        to_mmpretrain(path, tmp_path / 'x.pth', config=config)
    content = load(path)
    del content['state_dict']['backbone.layers.1.bn.bias']  # 1 of 10
    path = saved(tmp_path, content)
    config = Config(dict(model=model_cfg()))
    with pytest.raises(ValueError, match='1 missing: layers.1.bn.bias'):
        to_mmpretrain(path, tmp_path / 'x.pth', config=config)


def test_config_with_a_file_is_left_out(tmp_path):
    text = (
        "model = dict(type='MoCo', backbone=dict(type='TinyConvNet', "
        'channels=(8, 16), strides=(1, 2), '
        "init_cfg=dict(type='Pretrained', checkpoint='/home/x/secret.pth')))\n"
        "default_hooks = dict(clustering=dict(pipeline=[dict(type='{}')]))\n"
    )
    path = tiny_file(tmp_path, text.format('PackInputs'))
    to_mmpretrain(path, tmp_path / 'x.pth')
    meta = load(tmp_path / 'x.pth')['meta']
    assert 'TinyConvNet' in meta['cfg'] and 'secret' not in repr(meta)
    path = tiny_file(
        tmp_path,
        text.format(
            "LoadImageFromFile', file_client_args=dict(a='/mnt/s'),"
            " imdecode_backend='cv2"
        ),
    )
    result = to_mmpretrain(path, tmp_path / 'y.pth')
    meta = load(tmp_path / 'y.pth')['meta']
    assert 'cfg' not in meta and '/mnt' not in repr(meta)
    assert any(
        'config was left out: it names a file' in n for n in result.notes
    )


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(strides=(1, 1)), 'nothing was written'),
        (dict(channels=(8, 12)), 'converted weights do not fit TinyConvNet'),
    ],
)
def test_the_config_in_the_file_is_what_is_compared(
    tmp_path, monkeypatch, change, message
):
    path, out = tiny_file(tmp_path), tmp_path / 'x.pth'
    config = Config(dict(model=model_cfg()))
    right = CheckpointConfig.encoder_text

    def wrong(self):
        other = copy.deepcopy(self)
        other.cfg.model.backbone.update(change)
        return right(other)

    monkeypatch.setattr(CheckpointConfig, 'encoder_text', wrong)
    with pytest.raises((RuntimeError, ValueError), match=message):
        to_mmpretrain(path, out, config=config)
    assert not out.exists()


@pytest.mark.parametrize(
    'options', [dict(in_channels=1), dict(deep_stem=True)]
)
def test_a_resnet_of_ones_own(tmp_path, options):
    """A config builds what cannot be inferred."""
    model = openmm_resnet(**options)
    cfg = dict(options, type='ResNet', depth=18)
    meta = dict(cfg=f"model = dict(type='MoCo', backbone={cfg!r})")
    state = wrapped(model, 'backbone.')
    path = saved(tmp_path, dict(meta=meta, state_dict=state))
    to_mmpretrain(path, tmp_path / 'x.pth')
    assert_same(load(tmp_path / 'x.pth')['state_dict'], state)
