# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Each project's checkpoint against the network that wrote it."""

import argparse
import hashlib
from datetime import datetime

import pytest
import torch
import torchvision
from mmpretrain.models.backbones import ResNet
from torch import nn
from torchvision.models.resnet import Bottleneck

from pauc_mm import __version__
from pauc_mm.checkpoints.converters import mmpretrain_format, networks
from pauc_mm.checkpoints.inferred_resnet import infer_resnet
from tests.helpers import load_encoder
from tests.test_checkpoints.source_models import (
    OfficialDINO,
    OfficialMoCo,
    OfficialSwAV,
    images,
    shaken,
    small_resnet,
    without_fc,
    wrapped,
)
from tests.test_checkpoints.test_converters.helpers import (
    WideSwAV,
    assert_same,
    body,
    load,
    maps,
    openmm_resnet,
    saved,
    to_mmpretrain,
)

CLOSE = dict(rtol=1e-5, atol=1e-5)


def check(tmp_path, content, source, features, **options):
    """Convert; the file has the source's tensors and computes its features."""
    path = saved(tmp_path, content)
    target = tmp_path / 'converted.pth'
    result = to_mmpretrain(path, target, **options)
    file = load(target)
    assert set(file) == {'meta', 'state_dict'}
    assert_same(
        file['state_dict'],
        {f'backbone.{k}': v for k, v in body(source).items()},
    )
    encoder = load_encoder(target)
    got = encoder.embed(images())[0]
    torch.testing.assert_close(got, features, **CLOSE)
    assert result.agreement.relative <= 1e-5
    assert encoder.epoch == result.meta.get('epoch')
    return result


@pytest.mark.parametrize(
    'mlp, queue, layout',
    [
        (False, 65536, 'official MoCo v1'),
        (True, 65536, 'official MoCo v2'),
        (False, 16384, 'official PCL v1'),
        (True, 16384, 'official PCL v2'),
    ],
)
@pytest.mark.parametrize('momentum', [False, True])
def test_moco_and_pcl(tmp_path, mlp, queue, layout, momentum):
    model = OfficialMoCo(mlp, queue).eval()
    content = dict(epoch=200, arch='resnet50', state_dict=wrapped(model))
    source = model.encoder_k if momentum else model.encoder_q
    features = without_fc(source, images())
    result = check(tmp_path, content, source, features, momentum=momentum)
    path = tmp_path / 'source.pth.tar'
    meta = load(result.path)['meta']
    assert meta == result.meta
    assert any('stride 2 and padding 3' in n for n in meta.pop('notes'))
    made = datetime.fromisoformat(meta.pop('date'))
    assert abs(made.timestamp() - datetime.now().timestamp()) < 600
    assert meta == dict(
        source='source.pth.tar',
        source_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        layout=layout,
        network='encoder_k' if momentum else 'encoder_q',
        momentum_encoder=momentum,
        architecture='ResNet-10 (width 8)',
        format='mmpretrain',
        epoch=200,
        pauc_mm_version=__version__,
        torch_version=str(torch.__version__),
    )
    assert any("No depth of mmpretrain's" in note for note in result.notes)
    assert any('queue (1)' in note for note in result.notes)


@pytest.mark.parametrize('named', [False, True])
def test_swav(tmp_path, named):
    model = OfficialSwAV(30).eval()
    with torch.no_grad():
        features = model(images())[0]
    options = dict(layout='swav') if named else {}
    result = check(tmp_path, wrapped(model), model, features, **options)
    assert result.meta['layout'] == 'official SwAV'
    assert result.meta['network'] == 'the whole file'
    assert 'epoch' not in result.meta


@pytest.mark.parametrize('widen', [2, 4])
def test_wide_swav(tmp_path, widen):
    """Twice and four times as wide: mmpretrain's expansion is 2 and 1."""
    model = WideSwAV(widen).eval()
    result = check(
        tmp_path,
        wrapped(model),
        model,
        maps(model, images())[-1].mean((2, 3)),
    )
    like, _ = infer_resnet(body(model))
    like.load_state_dict(body(model))
    like.eval()
    for new, old in zip(maps(like, images()), maps(model, images())):
        torch.testing.assert_close(new, old, **CLOSE)
    assert like.expansion == 4 // widen
    # named by the width of its blocks; 64 is the usual one
    name = {2: 'ResNet-14 (width 32)', 4: 'ResNet-14'}[widen]
    assert result.meta['architecture'] == name


def test_swav_five_times_as_wide_is_refused(tmp_path):
    path = saved(tmp_path, wrapped(WideSwAV(5)))
    with pytest.raises(ValueError, match='80 inner and 64 outer channels'):
        to_mmpretrain(path, tmp_path / 'x.pth')
    assert not (tmp_path / 'x.pth').exists()


@pytest.mark.slow
def test_config_of_the_real_wide_swav():
    """RN50-w2 has base_width 128: 2 * 128 channels inside, 4 * 128 outside."""
    with torch.device('meta'):
        weights = {'conv1.weight': torch.empty(128, 3, 7, 7)}
        channels = 128
        for stage, (count, planes) in enumerate(
            ((3, 128), (4, 256), (6, 512), (3, 1024)), 1
        ):
            for i in range(count):
                block = Bottleneck(channels, planes, base_width=128)
                channels = 4 * planes
                weights.update(wrapped(block, f'layer{stage}.{i}.'))
    like, _ = infer_resnet(weights)
    cfg = networks.backbone_config(like)
    assert cfg['type'] == 'ResNet' and cfg['depth'] == 50
    assert cfg['stem_channels'] == 128 and cfg['base_channels'] == 256
    assert cfg['expansion'] == 2 and 'num_stages' not in cfg
    shapes = {k: v.shape for k, v in like.state_dict().items()}
    assert all(shapes[k] == v.shape for k, v in weights.items())


@pytest.mark.filterwarnings('ignore:.*weight_norm.*:FutureWarning')
@pytest.mark.parametrize('momentum', [False, True])
def test_dino(tmp_path, momentum):
    student, teacher = OfficialDINO(), OfficialDINO()
    content = dict(
        student=wrapped(student),
        teacher=wrapped(teacher),
        epoch=100,
        args=argparse.Namespace(arch='resnet50'),
    )
    source = teacher if momentum else student
    with torch.no_grad():
        features = source(images())[0]
    result = check(
        tmp_path, content, source.backbone, features, momentum=momentum
    )
    assert result.meta['network'] == (
        'teacher.backbone' if momentum else 'student.backbone'
    )
    assert momentum or any('teacher' in note for note in result.notes)


@pytest.mark.parametrize(
    'prefix, options',
    [
        ('', {}),
        ('module.', {}),
        ('', dict(layout='torchvision')),
        ('module.base_encoder.', {}),
        ('module.base_encoder.', dict(layout='mocov3')),
        ('model.encoder.', {}),
        ('model.encoder.', dict(prefix='model.encoder')),
        ('backbone.', {}),
    ],
)
def test_torchvision_names_under_a_prefix(tmp_path, prefix, options):
    model = small_resnet()
    content = dict(epoch=3, state_dict=wrapped(model, prefix))
    features = without_fc(model, images())
    check(tmp_path, content, model, features, **options)


def test_one_of_several_resnets(tmp_path):
    nets = dict(left=small_resnet(), right=small_resnet())
    state = {}
    for name, net in nets.items():
        state.update(wrapped(net, f'{name}.'))
    path = saved(tmp_path, state)
    with pytest.raises(ValueError, match="'left.', 'right.'.*--prefix"):
        to_mmpretrain(path, tmp_path / 'x.pth')
    features = without_fc(nets['right'], images())
    check(tmp_path, state, nets['right'], features, prefix='right.')


@pytest.mark.slow
def test_names_are_those_of_the_config(tmp_path):
    """A torchvision ResNet-18 becomes ResNet(depth=18), strictly."""
    model = shaken(torchvision.models.resnet18())
    result = check(
        tmp_path, model.state_dict(), model, without_fc(model, images())
    )
    assert result.meta['backbone'] == dict(type='ResNet', depth=18)
    backbone = ResNet(depth=18)
    prefix = len('backbone.')
    state = load(result.path)['state_dict']
    backbone.load_state_dict({k[prefix:]: v for k, v in state.items()})
    assert "type='ResNet', depth=18," in result.usage
    # A second conversion says what the first one was.
    again = to_mmpretrain(result.path, tmp_path / 'again.pth').meta
    assert again['layout'] == 'mmpretrain'
    assert again['previous']['source'] == 'source.pth.tar'
    assert again['previous']['source_sha256'] == result.meta['source_sha256']
    assert_same(load(tmp_path / 'again.pth')['state_dict'], state)


@pytest.mark.slow
@pytest.mark.parametrize('width', [32, 128])  # 128 is a wide ResNet
def test_other_bottlenecks(tmp_path, width):
    model = torchvision.models.ResNet(
        Bottleneck, [1, 1, 1, 1], width_per_group=width
    )
    shaken(model)
    features = without_fc(model, images())
    check(tmp_path, model.state_dict(), model, features)


@pytest.mark.slow
def test_cifar_form(tmp_path):
    model = shaken(torchvision.models.resnet18())
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    features = without_fc(model, images())
    result = check(tmp_path, model.state_dict(), model, features)
    assert result.meta['backbone'] == dict(type='ResNet_CIFAR', depth=18)
    assert any('(3x3) has stride 1' in note for note in result.notes)


def test_types_are_kept_and_counters_may_be_missing(tmp_path):
    model = small_resnet()
    state = {
        k: v.half()
        for k, v in model.state_dict().items()
        if not k.endswith('num_batches_tracked') and not k.startswith('fc')
    }
    path = saved(tmp_path, state, _use_new_zipfile_serialization=False)
    to_mmpretrain(path, tmp_path / 'x.pth')
    assert_same(
        load(tmp_path / 'x.pth')['state_dict'],
        {f'backbone.{k}': v for k, v in state.items()},
    )


def test_views_do_not_take_their_storage_along(tmp_path):
    model = small_resnet()
    state = model.state_dict()
    whole = torch.zeros(3_000_000)
    view = whole[:64].copy_(state['bn1.weight'])
    path = saved(tmp_path, {**state, 'bn1.weight': view})
    to_mmpretrain(path, tmp_path / 'x.pth')
    size = sum(v.numel() * v.element_size() for v in body(model).values())
    assert (tmp_path / 'x.pth').stat().st_size < size + 200_000


def changed(change):
    state = small_resnet().state_dict()
    change(state)
    return state


@pytest.mark.parametrize(
    'change, message',
    [
        (
            # 1 of 51: more than 90% are there
            lambda s: s.pop('layer3.0.bn2.running_var'),
            r'all of its \d+ tensors.* 1 missing: layer3.0.bn2.running_var',
        ),
        (lambda s: s.pop('conv1.weight'), "no convolution 'conv1.weight'"),
        (
            lambda s: s.update({'layer2.0.conv1.bias': torch.zeros(16)}),
            '1 unknown: layer2.0.conv1.bias',
        ),
        (
            lambda s: s.update({'bn1.bias': torch.zeros(63)}),
            r'bn1.bias \(\(63,\), not \(64,\)\)',
        ),
        (
            lambda s: s['bn1.bias'].fill_(float('nan')),
            r'NaN or infinite values in 1 of \d+ tensors, first bn1.bias',
        ),
        (
            lambda s: s.update({'conv2.weight': torch.zeros(64, 64, 3, 3)}),
            'not a plain ResNet: it also has conv2.weight',
        ),
    ],
)
def test_all_weights_and_no_others(tmp_path, change, message):
    path = saved(tmp_path, changed(change))
    with pytest.raises(ValueError, match=message):
        to_mmpretrain(path, tmp_path / 'x.pth')
    assert not (tmp_path / 'x.pth').exists()


def test_resnext_is_refused(tmp_path):
    model = torchvision.models.ResNet(
        Bottleneck, [1] * 4, groups=32, width_per_group=4
    )
    path = saved(tmp_path, model.state_dict())
    with pytest.raises(ValueError, match='ResNeXt.*--config'):
        to_mmpretrain(path, tmp_path / 'x.pth')


def other_epsilon(like, cfg):
    model = build(like, cfg)
    model.layer3[-1].norm2.eps = 1e-3
    return model


def other_strides(like, cfg):
    return networks.ResNet(depth=50, style='caffe', out_indices=range(4))


def other_average(like, cfg):
    model = build(like, cfg)
    model.maxpool = nn.AvgPool2d(3, 2, 1)
    return model


def fewer_maps(like, cfg):
    return networks.ResNet(depth=18)


build = networks.build_resnet


@pytest.mark.parametrize(
    'wrong',
    [
        other_epsilon,
        pytest.param(other_strides, marks=pytest.mark.slow),
        other_average,
        fewer_maps,
    ],
)
def test_another_network_is_noticed(tmp_path, monkeypatch, request, wrong):
    """The check sees what names and shapes do not tell."""
    if wrong is other_strides:  # they mean nothing to a BasicBlock
        _, path = request.getfixturevalue('r50')
        source = path.with_name('resnet50-abc.pth')
    else:
        model = shaken(torchvision.models.resnet18())
        source = saved(tmp_path, model.state_dict())
    monkeypatch.setattr(mmpretrain_format, 'build_resnet', wrong)
    target = tmp_path / 'folder' / 'x.pth'
    with pytest.raises(RuntimeError, match='(?i)nothing was written'):
        to_mmpretrain(source, target)
    assert not target.parent.exists()


def test_a_dead_network_cannot_be_checked(tmp_path):
    state = small_resnet().state_dict()
    for name in ('layer4.0.bn2', 'layer4.0.downsample.1'):
        for kind in ('weight', 'bias'):
            state[f'{name}.{kind}'].zero_()
    path = saved(tmp_path, state)
    with pytest.raises(RuntimeError, match='map 4.*is 0.0.*dead'):
        to_mmpretrain(path, tmp_path / 'x.pth')


def test_building_networks_leaves_the_random_numbers_alone(tmp_path):
    path = saved(tmp_path, small_resnet().state_dict())
    torch.manual_seed(5)
    to_mmpretrain(path, tmp_path / 'x.pth')
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))


@pytest.mark.slow
def test_a_backbone_of_mmpretrain_is_taken_as_it_is(tmp_path):
    model = openmm_resnet()
    state = wrapped(model, 'backbone.')
    path = saved(tmp_path, dict(meta={}, state_dict=state))
    result = to_mmpretrain(path, tmp_path / 'x.pth')
    assert_same(load(tmp_path / 'x.pth')['state_dict'], state)
    assert result.meta['backbone'] == dict(type='ResNet', depth=18)
