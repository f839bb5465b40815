# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What weights cannot tell is named, and a config puts it right."""

import pytest
import torch
import torchvision
from mmengine.config import Config
from mmpretrain.models.backbones import ResNet
from mmpretrain.registry import MODELS
from torch import nn

from tests.helpers import load_encoder
from tests.test_checkpoints.source_models import (
    images,
    shaken,
    small_resnet,
    without_fc,
    wrapped,
)
from tests.test_checkpoints.test_converters.helpers import to_mmpretrain

CLOSE = dict(rtol=1e-5, atol=1e-5)


def stem(kernel, stride, padding, pool):
    model = small_resnet()
    model.conv1 = nn.Conv2d(3, 64, kernel, stride, padding, bias=False)
    if not pool:
        model.maxpool = nn.Identity()
    return model


SENTENCES = {
    (7, 2, 3, True): '(7x7) has stride 2 and padding 3, with max-pooling 3x3',
    (7, 2, 3, False): '(7x7) has stride 2 and padding 3, with max-pooling 3x3',
    (3, 1, 1, False): '(3x3) has stride 1 and padding 1, with no pooling',
    (3, 1, 2, False): '(3x3) has stride 1 and padding 1, with no pooling',
    (3, 2, 1, True): '(3x3) has stride 1 and padding 1, with no pooling',
}


@pytest.mark.verdict('noted')
@pytest.mark.parametrize('form', SENTENCES)
def test_assumptions_are_named_by_every_reader(tmp_path, form):
    path = tmp_path / 'a.pth'
    torch.save(wrapped(stem(*form), 'backbone.'), path)
    converted = to_mmpretrain(path, tmp_path / 'b.pth')
    for notes in (
        load_encoder(path).notes,
        converted.notes,
        converted.meta['notes'],
        load_encoder(converted.path).notes,
    ):
        (note,) = [n for n in notes if n.startswith('Assumed')]
        assert SENTENCES[form] in note
        assert 'dilation' in note and 'anti-aliasing' in note
        assert '--config' in note
    assert 'if the source is as stated' in str(converted.agreement)


@MODELS.register_module()
class UnpooledResNet(ResNet):
    """Ten layers, and no pooling after the first."""

    arch_settings = {
        **ResNet.arch_settings,
        10: (ResNet.arch_settings[18][0], (1,) * 4),
    }

    def __init__(self, **kwargs):
        super().__init__(depth=10, base_channels=8, expansion=1, **kwargs)
        self.maxpool = nn.Identity()


@pytest.mark.verdict('works')
def test_a_config_describes_the_network(tmp_path):
    """Of any layout, for the encoder and for the converters."""
    model = stem(7, 2, 3, False)
    path = tmp_path / 'a.pth'
    torch.save(wrapped(model, 'module.encoder_q.'), path)
    config = Config(dict(model=dict(backbone=dict(type='UnpooledResNet'))))
    encoder = load_encoder(path, config)
    features = encoder.embed(images())[0]
    expected = without_fc(model, images())
    torch.testing.assert_close(features, expected, **CLOSE)
    assert not any(n.startswith('Assumed') for n in encoder.notes)
    wrong = load_encoder(path).embed(images())[0]
    assert (wrong - expected).abs().max() > 0.01
    converted = to_mmpretrain(path, tmp_path / 'b.pth', config=config)
    assert not any(n.startswith('Assumed') for n in converted.notes)


@pytest.mark.verdict('works')
def test_solo_learn_pads_by_two(tmp_path):
    model = stem(3, 1, 2, False)
    model.fc = nn.Identity()
    head = shaken(nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 6)))
    prototypes = nn.utils.weight_norm(nn.Linear(6, 5, bias=False))
    state = {
        **wrapped(model, 'backbone.'),
        **wrapped(head, 'projector.'),
        **wrapped(nn.Linear(64, 3), 'classifier.'),
        **wrapped(prototypes, 'prototypes.'),
    }
    path = tmp_path / 'a.ckpt'
    torch.save({'state_dict': state, 'pytorch-lightning_version': '1.7'}, path)
    encoder = load_encoder(path)
    features, embeddings = encoder.embed(images())
    expected = without_fc(model, images())
    torch.testing.assert_close(features, expected, **CLOSE)
    with torch.no_grad():
        projected = nn.functional.normalize(head(expected), dim=1)
    torch.testing.assert_close(embeddings, projected, **CLOSE)
    assert encoder.layout == 'solo-learn ResNet-10 (width 8)'
    assert any('stride 1 and padding 2' in n for n in encoder.notes)
    (rows,) = encoder.prototypes.values()
    torch.testing.assert_close(rows, prototypes.weight.detach())


@pytest.mark.slow
@pytest.mark.verdict('refused')
def test_no_copy_is_written_of_what_a_config_cannot_say(tmp_path):
    """mmpretrain's ResNet_CIFAR(depth=18) pads by one, solo-learn by two."""
    model = torchvision.models.resnet18()
    model.conv1 = nn.Conv2d(3, 64, 3, 1, 2, bias=False)
    path = tmp_path / 'a.ckpt'
    torch.save(wrapped(model, 'encoder.'), path)
    assert to_mmpretrain(path, tmp_path / 'b.pth', prefix='encoder')
    torch.save(
        {**wrapped(model, 'backbone.'), 'classifier.x': model.fc.bias}, path
    )
    with pytest.raises(RuntimeError, match=r'[Nn]othing was written'):
        to_mmpretrain(path, tmp_path / 'c.pth')


@pytest.mark.verdict('works')
def test_vissl(tmp_path):
    model = small_resnet()
    head = shaken(nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 6)))
    rows = torch.randn(5, 6)
    trunk = wrapped(model, '_feature_blocks.')
    trunk = {k: v for k, v in trunk.items() if '.fc.' not in k}
    heads = {
        **wrapped(head, '0.projection_head.'),
        '0.prototypes0.weight': rows,
    }
    inner = dict(model=dict(trunk=trunk, heads=heads), meters={})
    path = tmp_path / 'a.torch'
    torch.save(
        dict(phase_idx=3, classy_state_dict=dict(base_model=inner)), path
    )
    encoder = load_encoder(path)
    features, embeddings = encoder.embed(images())
    expected = without_fc(model, images())
    torch.testing.assert_close(features, expected, **CLOSE)
    with torch.no_grad():
        projected = nn.functional.normalize(head(expected), dim=1)
    torch.testing.assert_close(embeddings, projected, **CLOSE)
    assert encoder.layout == 'VISSL ResNet-10 (width 8)'
    assert list(encoder.prototypes) == ['prototypes 0 (K=5)']
    assert torch.equal(encoder.prototypes['prototypes 0 (K=5)'], rows)
    assert to_mmpretrain(path, tmp_path / 'b.pth').path.is_file()
