# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Each layout against the forward pass of the network that wrote it."""

import argparse

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models.resnet import Bottleneck

from pauc_mm.checkpoints.inferred_resnet import infer_resnet
from tests.helpers import load_encoder
from tests.test_checkpoints.source_models import (
    DIM,
    OfficialDINO,
    OfficialMoCo,
    OfficialSwAV,
    images,
    shaken,
    small_resnet,
    without_fc,
    wrapped,
)

CLOSE = dict(rtol=1e-5, atol=1e-5)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def saved(tmp_path, content, **options):
    path = tmp_path / 'checkpoint.pth.tar'
    torch.save(content, path, **options)
    return path


def check(encoder, features, embeddings=None):
    got = encoder.embed(images())
    torch.testing.assert_close(got[0], features, **CLOSE)
    assert not encoder.backbone.training
    assert not any(p.requires_grad for p in encoder.backbone.parameters())
    if embeddings is None:
        assert got[1] is None and encoder.neck is None
    else:
        torch.testing.assert_close(got[1], embeddings, **CLOSE)


@pytest.mark.parametrize(
    'mlp, queue, layout',
    [
        (False, 65536, 'official MoCo v1'),
        (True, 65536, 'official MoCo v2'),
        (False, 16384, 'official PCL v1'),
        (True, 16384, 'official PCL v2'),
        (True, 64, 'official MoCo or PCL v2'),
    ],
)
@pytest.mark.parametrize('momentum', [False, True])
def test_moco_and_pcl(tmp_path, mlp, queue, layout, momentum):
    model = OfficialMoCo(mlp, queue).eval()
    content = dict(
        epoch=200,
        arch='resnet50',
        state_dict=wrapped(model),
        optimizer=torch.optim.SGD(model.parameters(), 0.1).state_dict(),
    )
    encoder = load_encoder(saved(tmp_path, content), momentum=momentum)
    source = model.encoder_k if momentum else model.encoder_q
    with torch.no_grad():
        embeddings = F.normalize(source(images()), dim=1)
    check(encoder, without_fc(source, images()), embeddings)
    assert encoder.layout == layout
    assert encoder.epoch == 200
    assert encoder.prototypes == {} and encoder.prototype_space is None
    assert encoder.config is encoder.pipeline is encoder.dataset is None
    other = 'encoder_q' if momentum else 'encoder_k'
    assert any(f'{other} (' in note for note in encoder.notes)


def test_released_moco_without_its_key_encoder(tmp_path):
    model = OfficialMoCo(True).eval()
    state = wrapped(model.encoder_q, 'module.encoder_q.')
    path = saved(tmp_path, dict(epoch=800, arch='r', state_dict=state))
    with torch.no_grad():
        embeddings = F.normalize(model.encoder_q(images()), dim=1)
    encoder = load_encoder(path)
    check(encoder, without_fc(model.encoder_q, images()), embeddings)
    assert encoder.layout == 'official MoCo or PCL v2'
    with pytest.raises(ValueError, match='no momentum encoder'):
        load_encoder(path, momentum=True)


@pytest.mark.parametrize('in_training', [False, True])
def test_swav(tmp_path, in_training):
    model = OfficialSwAV(30).eval()
    content = wrapped(model)
    if in_training:  # the release is the state alone
        content = dict(epoch=7, state_dict=content, optimizer={}, amp={})
    encoder = load_encoder(saved(tmp_path, content))
    with torch.no_grad():
        features, embeddings = model(images())
    check(encoder, features, embeddings)
    assert encoder.layout == 'official SwAV'
    assert encoder.prototype_space == 'embedding'
    assert list(encoder.prototypes) == ['prototypes (K=30)']
    assert torch.equal(
        encoder.prototypes['prototypes (K=30)'], model.prototypes.weight.data
    )
    assert encoder.epoch == (7 if in_training else None)
    with pytest.raises(ValueError, match='no momentum encoder'):
        load_encoder(saved(tmp_path, content), momentum=True)


def test_several_heads_of_prototypes(tmp_path):
    model = OfficialSwAV([20, 30]).eval()
    encoder = load_encoder(saved(tmp_path, wrapped(model)))
    assert encoder.layout == 'official SwAV, DeepCluster-v2 or SeLa-v2'
    assert list(encoder.prototypes) == [
        'prototypes 0 (K=20)',
        'prototypes 1 (K=30)',
    ]
    assert torch.equal(
        encoder.prototypes['prototypes 1 (K=30)'],
        model.prototypes.prototypes1.weight.data,
    )


@pytest.mark.filterwarnings('ignore:.*weight_norm.*:FutureWarning')
@pytest.mark.parametrize(
    'options, name',
    [
        (dict(use_bn=False), 'DINO'),
        (dict(use_bn=True), 'CARP'),
        (dict(parametrized=True), 'DINO'),
        (dict(use_bn=True, plain=True), 'DINO'),
    ],
)
@pytest.mark.parametrize('momentum', [False, True])
def test_dino_and_carp(tmp_path, options, name, momentum):
    student = OfficialDINO(**options)
    teacher = OfficialDINO(**options)
    content = dict(
        student=wrapped(student),
        teacher=wrapped(teacher),
        optimizer={},
        epoch=100,
        args=argparse.Namespace(arch='resnet50', lr=0.1),
    )
    if name == 'DINO':
        content['dino_loss'] = dict(center=torch.zeros(1, 12))
    encoder = load_encoder(saved(tmp_path, content), momentum=momentum)
    source = teacher if momentum else student
    with torch.no_grad():
        check(encoder, *source(images()))
        # the scores of a unit input along each axis are the weight's columns
        weight = source.head.last_layer(torch.eye(24)).t()
    torch.testing.assert_close(encoder.prototypes['prototypes (K=12)'], weight)
    assert encoder.layout == f'official {name} ResNet-10 (width 8)'
    assert encoder.epoch == 100
    assert any('teacher' in n for n in encoder.notes) or momentum


@pytest.mark.parametrize('arch', ['resnet18', 'resnet50'])
def test_inferred_resnets_equal_torchvisions(arch):
    source = shaken(getattr(torchvision.models, arch)())
    state = {
        k: v
        for k, v in source.state_dict().items()
        if k.partition('.')[0] != 'fc'
    }
    model, name = infer_resnet(state)
    model.load_state_dict(state)
    model.eval()
    batch = images(2)
    with torch.no_grad():
        features = model(batch)[-1].mean((2, 3))
    expected = without_fc(source, batch)
    torch.testing.assert_close(features, expected, **CLOSE)
    assert name == arch.replace('resnet', 'ResNet-')


@pytest.mark.parametrize(
    'prefix, layout',
    [
        ('', 'torchvision ResNet-10 (width 8)'),
        ('module.', 'torchvision ResNet-10 (width 8)'),
        ('_orig_mod.module.', 'torchvision ResNet-10 (width 8)'),
        ('module.backbone.', "ResNet-10 (width 8) under 'backbone.'"),
        ('encoder.', "ResNet-10 (width 8) under 'encoder.'"),
        ('model.resnet.', "ResNet-10 (width 8) under 'model.resnet.'"),
    ],
)
def test_torchvision_names_under_a_prefix(tmp_path, prefix, layout):
    model = small_resnet()
    content = wrapped(model, prefix)
    if prefix == 'encoder.':  # Lightning
        content = dict(epoch=3, global_step=9, state_dict=content)
    encoder = load_encoder(saved(tmp_path, content))
    check(encoder, without_fc(model, images()))
    assert encoder.layout == layout
    assert any('no projection head' in note for note in encoder.notes)
    assert any('Left out' in n and '(2)' in n for n in encoder.notes)


def test_old_format_half_precision_and_no_counters(tmp_path):
    model = small_resnet()
    model.load_state_dict(
        {k: v.half().to(v.dtype) for k, v in model.state_dict().items()}
    )
    state = {
        k: v.half()
        for k, v in model.state_dict().items()
        if not k.endswith('num_batches_tracked')
    }
    path = saved(tmp_path, state, _use_new_zipfile_serialization=False)
    encoder = load_encoder(path)
    assert encoder.embed(images())[0].dtype == torch.float32
    check(encoder, without_fc(model, images()))


def test_a_perceptron_in_place_of_the_classifier(tmp_path):
    """SimCLR's common form; the published SimSiam has no biases and BN."""
    model = small_resnet()
    model.fc = nn.Sequential(
        nn.Linear(DIM, 24, bias=False),
        nn.BatchNorm1d(24),
        nn.ReLU(),
        nn.Linear(24, 16, bias=False),
        nn.BatchNorm1d(16, affine=False),
    )
    shaken(model)
    path = saved(tmp_path, dict(state_dict=wrapped(model, 'module.encoder.')))
    with torch.no_grad():
        embeddings = F.normalize(model(images()), dim=1)
    encoder = load_encoder(path)
    check(encoder, without_fc(model, images()), embeddings)
    assert any("'encoder.fc.' was taken" in note for note in encoder.notes)


def test_projector_and_average_beside_the_backbone(tmp_path):
    nets = {}
    for name in ('online', 'target'):
        nets[f'{name}.backbone'] = small_resnet()
        nets[f'{name}.projector'] = nn.Sequential(
            nn.Linear(DIM, 8), nn.ReLU(), nn.Linear(8, 6)
        )
    state = {}
    for name, net in nets.items():
        state.update(wrapped(net, f'{name}.'))
    path = saved(tmp_path, dict(model=state))
    for momentum, name in ((False, 'online'), (True, 'target')):
        encoder = load_encoder(path, momentum=momentum)
        features = without_fc(nets[f'{name}.backbone'], images())
        with torch.no_grad():
            embeddings = nets[f'{name}.projector'](features)
        check(encoder, features, F.normalize(embeddings, dim=1))
    assert "The weights are those under 'model'." in encoder.notes


def test_numbered_children_and_barlow_twins(tmp_path):
    model = small_resnet()
    body = nn.Sequential(*list(model.children())[:-1])
    projector = nn.Sequential(
        nn.Linear(DIM, 8, bias=False),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Linear(8, 6, bias=False),
    )
    projector = shaken(projector)
    head = wrapped(projector, 'projector.')
    features = without_fc(model, images())
    with torch.no_grad():
        embeddings = F.normalize(projector(features), dim=1)
    numbered = load_encoder(
        saved(tmp_path, {**wrapped(body, 'backbone.'), **head})
    )
    check(numbered, features, embeddings)
    assert any('numbered layers' in note for note in numbered.notes)
    named = load_encoder(
        saved(tmp_path, {**wrapped(model, 'backbone.'), **head})
    )
    check(named, features, embeddings)
    assert named.layout.endswith('the names of Barlow Twins and VICReg')


def test_cifar_form(tmp_path):
    model = small_resnet()
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    encoder = load_encoder(saved(tmp_path, model.state_dict()))
    check(encoder, without_fc(model, images()))
    assert any('stride 1 and padding 1, with no p' in n for n in encoder.notes)


def test_head_of_unknown_form_is_left_out(tmp_path):
    model = OfficialSwAV(10)
    state = wrapped(model)
    state['module.projection_head.1.weight'] = torch.zeros(24, 3, 1, 1)
    del state['module.projection_head.1.running_mean']
    encoder = load_encoder(saved(tmp_path, state))
    assert encoder.neck is None and encoder.embed(images())[1] is None
    assert any('neither linear nor BatchNorm' in n for n in encoder.notes)
    assert len(encoder.prototypes) == 1


def test_images_are_preprocessed_as_torchvision_does(tmp_path):
    encoder = load_encoder(saved(tmp_path, small_resnet().state_dict()))
    rgb = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    expected = torchvision.transforms.functional.normalize(
        rgb.float() / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )
    bgr = rgb.flip(1)  # as LoadImageFromFile gives it
    for inputs in (bgr, list(bgr), [bgr]):
        torch.testing.assert_close(encoder.preprocess_images(inputs), expected)
    with pytest.raises(ValueError, match='2 views of each image'):
        encoder.preprocess_images([bgr, bgr])
    with pytest.raises(ValueError, match='2 shapes'):
        encoder.preprocess_images([bgr[0], bgr[1, :, :4]])
    with pytest.raises(ValueError, match=r'not \(2, 1, 8, 8\)'):
        encoder.preprocess_images(bgr[:, :1])
    with pytest.raises(ValueError, match='preprocess_images first'):
        encoder.embed(bgr)


@pytest.mark.parametrize('width', [32, 128])  # 128 is a wide ResNet
def test_bottlenecks_of_any_width(tmp_path, width):
    model = torchvision.models.ResNet(
        Bottleneck, [1, 1, 1, 1], width_per_group=width
    )
    shaken(model)
    encoder = load_encoder(saved(tmp_path, model.state_dict()))
    check(encoder, without_fc(model, images()))
    assert encoder.layout == f'torchvision ResNet-14 (width {width})'
