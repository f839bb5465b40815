# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Training and embedding with backbones that give vectors or maps."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.engine.hooks.setup_check_hook import _join_encoders
from pauc_mm.models import embed_images
from tests.helpers import (
    PLAIN,
    assert_same,
    images_batch,
    model_cfg,
    run_cfg,
)
from tests.test_models.test_carp import carp_cfg
from tests.test_models.test_pcl import with_prototypes

ARCH = dict(embed_dims=12, num_layers=1, num_heads=3, feedforward_channels=24)
VIT = dict(
    type='VisionTransformer',
    arch=ARCH,
    img_size=8,
    patch_size=4,
    in_channels=3,
)
SWIN = dict(embed_dims=8, depths=[1, 1], num_heads=[2, 2])
NARROW = dict(type='ResNet', base_channels=4, stem_channels=4)
# Backbone, its channels, whether it gives a vector.
BACKBONES = {
    'vit': (VIT, 12, True),
    'vit_average': (dict(VIT, out_type='avg_featmap'), 12, True),
    'vit_map': (dict(VIT, out_type='featmap'), 12, False),
    'mocov3_vit': (
        dict(VIT, type='MoCoV3ViT', stop_grad_conv1=True),
        12,
        True,
    ),
    'vit_grey': (dict(VIT, in_channels=1), 12, True),
    'swin': (
        dict(
            type='SwinTransformer',
            arch=SWIN,
            img_size=8,
            patch_size=2,
            window_size=2,
            out_indices=(1,),
        ),
        16,
        False,
    ),
    'convnext': (
        dict(
            type='ConvNeXt',
            arch=dict(depths=[1, 1, 1, 1], channels=[4, 4, 8, 12]),
            stem_patch_size=1,
        ),
        12,
        True,
    ),
    'resnet18': (dict(NARROW, depth=18), 32, False),
    'resnet34': (dict(NARROW, depth=34), 32, False),
    'resnet101': (dict(NARROW, depth=101), 128, False),
    'resnet_grey': (dict(NARROW, depth=18, in_channels=1), 32, False),
}
ON_BACKBONES = pytest.mark.parametrize(
    'backbone',
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name == 'resnet101'))
        for name in BACKBONES
    ],
)
NECKS = {
    'LinearNeck': dict(gap_dim=2, norm_cfg=None),
    'MoCoV2Neck': dict(hid_channels=8),
    'NonLinearNeck': dict(hid_channels=8, norm_cfg=dict(type='BN1d')),
    'SwAVNeck': dict(hid_channels=8, norm_cfg=dict(type='BN1d')),
    'CARPNeck': dict(hid_channels=8),
    'CLDNeck': dict(hid_channels=8),
}


@pytest.fixture(autouse=True)
def scope():
    hub = MessageHub.get_instance('test_neck_inputs')
    hub.update_info('iter', 3)
    hub.update_info('max_iters', 10)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def build(kind, backbone, neck=None, **changes):
    """A model on a backbone; only the backbone and its width are changed."""
    torch.manual_seed(0)
    cfg, channels, _ = BACKBONES[backbone]
    base = carp_cfg() if kind == 'CARP' else model_cfg(kind)
    if kind == 'CLD':
        neck = dict(type='CLDNeck', hid_channels=8, out_channels=8)
        for key in ('num_clusters', 'proto_head'):
            del base[key]
        changes = dict(num_clusters=2, num_iters=2, **changes)
    neck = dict(neck or base['neck'], in_channels=channels)
    model = MODELS.build(dict(base, backbone=cfg, neck=neck, **changes))
    return with_prototypes(model) if kind == 'PAUC' else model


def views(model, number, sides=(8, 8), batch=6):
    channels = next(
        m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d)
    )
    return [torch.randn(batch, channels, side, side) for side in sides][
        :number
    ]


@pytest.mark.parametrize('kind', ['PAUC', 'CARP', 'CLD'])
@ON_BACKBONES
def test_a_step_trains_every_weight_of_the_backbone(kind, backbone):
    model = build(kind, backbone)
    inputs = views(model, 3, (8, 8, 8) if kind == 'CLD' else (8, 8))
    samples = images_batch()['data_samples']
    losses = model.loss(inputs, samples)
    total = sum(v for name, v in losses.items() if 'loss' in name)
    total.backward()
    for name, weight in model.backbone.named_parameters():
        if weight.requires_grad:
            assert weight.grad is not None, name
            assert torch.isfinite(weight.grad).all(), name
    largest = max(
        p.grad.abs().max()
        for p in model.backbone.parameters()
        if p.requires_grad
    )
    assert largest > 0


@ON_BACKBONES
def test_the_embedding_is_that_of_the_vector(backbone):
    """Of maps of their means, with LinearNeck's product written out."""
    model = build('PAUC', backbone).eval()
    (images,) = views(model, 1)
    features, embeddings = embed_images(model, images)
    with torch.no_grad():
        last = model.backbone(images)[-1]
        assert (last.dim() == 2) is BACKBONES[backbone][2]
        vectors = last if last.dim() == 2 else last.mean(dim=(2, 3))
        projected = vectors @ model.neck.fc.weight.T + model.neck.fc.bias
    torch.testing.assert_close(features, vectors)
    torch.testing.assert_close(embeddings, F.normalize(projected, dim=1))


@pytest.mark.parametrize('neck', NECKS)
def test_a_neck_that_pools_takes_vectors(neck):
    """As it takes maps of one pixel; joined and through embed_images."""
    cfg = dict(NECKS[neck], type=neck, out_channels=8)
    model = build('PAUC', 'vit', neck=cfg).eval()
    (images,) = views(model, 1)
    with torch.no_grad():
        vectors = model.backbone(images)[-1]
        plain = copy.deepcopy(model.neck)
        plain._forward_pre_hooks.clear()
        maps = (vectors[:, :, None, None],)
        want = plain([maps] if neck == 'SwAVNeck' else maps)
        want = want if neck == 'SwAVNeck' else want[0]
        got = model.neck([(vectors,)] if neck == 'SwAVNeck' else (vectors,))
        got = got if neck == 'SwAVNeck' else got[0]
    assert torch.equal(got, want)
    model.neck = plain  # as a tool that builds a neck by itself
    _, embeddings = embed_images(model, images)
    assert torch.equal(embeddings, F.normalize(want, dim=1))


def test_local_views_pass_a_vit_with_positions_of_their_size():
    model = build('CARP', 'mocov3_vit')
    inputs = views(model, 3, (8, 8, 4))
    losses = model.loss(inputs, None)
    local = model.backbone(inputs[2])[-1]
    assert local.shape == (6, 12)
    assert torch.isfinite(losses['loss_consistency'])
    # One patch of 4 pixels: its position is the mean of the four.
    vit = model.backbone
    patch = vit.patch_embed.projection(inputs[2]).flatten(2).transpose(1, 2)
    position = (
        F.interpolate(
            vit.pos_embed[:, 1:].reshape(1, 2, 2, 12).permute(0, 3, 1, 2),
            size=1,
            mode='bicubic',
            align_corners=False,
        )
        .flatten(2)
        .transpose(1, 2)
    )
    tokens = torch.cat(
        [vit.cls_token + vit.pos_embed[:, :1] + 0 * patch, patch + position], 1
    )
    want = vit.norm1(vit.layers[0](tokens))[:, 0]
    torch.testing.assert_close(local, want)


@pytest.mark.parametrize('kind', ['MoCo', 'BYOL', 'SimCLR', 'SwAV'])
def test_mmpretrains_algorithms_take_vectors_once_they_are_joined(kind):
    torch.manual_seed(0)
    neck = dict(NECKS['NonLinearNeck'], type='NonLinearNeck')
    head = dict(type='ContrastiveHead', loss=dict(type='CrossEntropyLoss'))
    more = {}
    if kind == 'MoCo':
        more = dict(queue_len=12, feat_dim=8)
    if kind == 'BYOL':
        predictor = dict(
            neck, in_channels=8, out_channels=8, with_avg_pool=False
        )
        head = dict(
            type='LatentPredictHead',
            predictor=predictor,
            loss=dict(type='CosineSimilarityLoss'),
        )
    if kind == 'SwAV':
        neck = dict(NECKS['SwAVNeck'], type='SwAVNeck')
        head = dict(
            type='SwAVHead',
            loss=dict(
                type='SwAVLoss', feat_dim=8, num_crops=[2], num_prototypes=6
            ),
        )
    neck.update(in_channels=12, out_channels=8)
    cfg = dict(type=kind, backbone=VIT, neck=neck, head=head, **more)
    model = MODELS.build(cfg)
    _join_encoders(model)
    losses = model.loss(views(model, 2), None)
    losses['loss'].backward()
    assert model.backbone.cls_token.grad.abs().sum() > 0


# ---- what does not fit -----------------------------------------------------
@pytest.mark.parametrize('kind', ['PAUC', 'CARP', 'CLD'])
@pytest.mark.parametrize('backbone', ['vit', 'resnet18'])
def test_another_width_is_named(kind, backbone, monkeypatch):
    cfg, channels, vector = BACKBONES[backbone]
    monkeypatch.setitem(BACKBONES, backbone, (cfg, 16, vector))
    model = build(kind, backbone)
    message = f'model.neck.in_channels=16.*{channels} channels'
    with pytest.raises(ValueError, match=message):
        embed_images(model, torch.randn(2, 3, 8, 8))
    with pytest.raises(ValueError, match=message):
        model.loss(views(model, 3, (8, 8, 8)[: 3 if kind == 'CLD' else 2]), [])


@pytest.mark.parametrize('kind', ['PAUC', 'CARP'])
def test_tokens_are_refused(kind, monkeypatch):
    monkeypatch.setitem(BACKBONES, 'raw', (dict(VIT, out_type='raw'), 12, 0))
    with pytest.raises(ValueError, match='model.backbone.out_type'):
        build(kind, 'raw')


@pytest.mark.parametrize('hook', ['clustering', 'collapse_monitor'])
def test_a_run_names_the_width_before_its_first_step(hook, tmp_path):
    cfg = run_cfg(tmp_path)
    cfg.model.backbone = VIT
    cfg.test_pipeline = PLAIN
    monitor = dict(type='CollapseMonitorHook', interval=1)
    hooks = dict(clustering=cfg.default_hooks.clustering)
    cfg.default_hooks = dict(collapse_monitor=monitor)
    if hook == 'clustering':
        cfg.default_hooks = hooks
    runner = Runner.from_cfg(cfg)
    with pytest.raises((ValueError, RuntimeError)) as error:
        runner.train()
    assert 'model.neck.in_channels=16, but' in str(error.value)
    assert 'pipeline must' not in str(error.value)


@pytest.mark.slow
def test_a_vit_is_resumed_bit_for_bit(tmp_path):
    def train(name, **changes):
        cfg = run_cfg(tmp_path / name, **changes)
        cfg.model.backbone = dict(VIT, type='MoCoV3ViT', stop_grad_conv1=True)
        cfg.model.neck.in_channels = 12
        cfg.optim_wrapper.optimizer = dict(type='AdamW', lr=1e-3)
        Runner.from_cfg(cfg).train()
        path = tmp_path / name / 'epoch_4.pth'
        return torch.load(path, weights_only=False)['state_dict']

    whole = train('whole')
    checkpoint = str(tmp_path / 'whole/epoch_2.pth')
    assert_same(whole, train('resumed', load_from=checkpoint, resume=True))
