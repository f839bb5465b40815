# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Vision transformers of each project against timm's of the same weights."""

import argparse
import functools
from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.checkpoints import Checkpoint
from pauc_mm.checkpoints.converters import export
from tests.test_checkpoints.source_models import shaken

timm = pytest.importorskip('timm')
CLOSE = dict(rtol=1e-5, atol=1e-5)
DIM, K = 64, 12
SIZE = 112  # a multiple of 14, 16 and of Swin's windows
REG = 'vit_small_patch14_reg4_dinov2'
SMALL = 'vit_small_patch16_224'
SWIN = 'swin_tiny_patch4_window7_224'
IBOT_SWIN = f'{SWIN} of iBOT'
GIANT = 'vit_giant_patch14_dinov2'  # with SwiGLU
MOCO = 'vit_small_patch32_224'
TORCHVISION = 'vit_base_patch16_224'
VIT = dict(embed_dim=DIM, num_heads=1, depth=2)
TWO_STAGES = dict(embed_dim=32, num_heads=(1, 2), depths=(2, 2))
LN = functools.partial(nn.LayerNorm, eps=1e-6)
OPTIONS = {
    SWIN: TWO_STAGES,
    IBOT_SWIN: dict(TWO_STAGES, norm_layer=LN),
    GIANT: dict(VIT, mlp_ratio=6),
    MOCO: dict(embed_dim=384, num_heads=12, depth=1),
}


@functools.cache
def source(name=SMALL):
    """A small network of timm, and its features of the images."""
    torch.manual_seed(0)
    options = OPTIONS.get(name, VIT)
    name = name.partition(' ')[0]
    net = timm.create_model(name, num_classes=0, img_size=SIZE, **options)
    for parameter in net.parameters():
        nn.init.normal_(parameter, 0, 0.1)
    shaken(net)
    with torch.no_grad():
        return net.state_dict(), net(images())


def images(size=SIZE):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, size, size, generator=generator)


def in_chunks(state):
    """DINOv2's names: blocks in chunks, the first registers' name."""
    names = (('blocks.', 'blocks.0.'), ('reg_token', 'register_tokens'))
    for old, new in names:
        state = {k.replace(old, new): v for k, v in state.items()}
    return state | dict(mask_token=torch.zeros(1, DIM))


def head(use_bn=False, name='', out=K, dim=DIM, width=16):
    """State of DINO's head, the projection and the effective prototypes."""
    torch.manual_seed(5)
    g, v = torch.rand(out, 1) + 0.5, torch.randn(out, width)
    layers = [nn.Linear(dim, 24)]
    for size in (24, width):
        layers += [nn.BatchNorm1d(24)] if use_bn else []
        layers += [nn.GELU(), nn.Linear(24, size)]
    mlp = shaken(nn.Sequential(*layers))
    state = {f'mlp.{k}': t for k, t in mlp.state_dict().items()}
    state.update({'last_layer.weight_g': g, 'last_layer.weight_v': v})
    return {name + k: t for k, t in state.items()}, mlp, g * F.normalize(v)


def under(prefix, state):
    return {prefix + key: value for key, value in state.items()}


def teacher_and_student(net, head, **more):
    """DINO's file; the teacher has no BatchNorm and so no 'module.'."""
    state = {**under('backbone.', net), **under('head.', head)}
    wrapped = under('module.', state)
    return dict(
        student={k: v + 1 for k, v in wrapped.items()},
        teacher=state,
        optimizer=dict(state={}, param_groups=[]),
        epoch=100,
        args=argparse.Namespace(arch='vit_small', patch_size=16),
        **more,
    )


def dino(net=None, **more):
    loss = OrderedDict(center=torch.zeros(1, K))
    net = source()[0] if net is None else net
    return teacher_and_student(net, head()[0], dino_loss=loss, **more)


def swin():
    """The official names: a stage ends with the merging of patches."""
    old, new = 'layers.1.downsample', 'layers.0.downsample'
    net = {k.replace(old, new): v for k, v in source(IBOT_SWIN)[0].items()}
    return dict(net, masked_embed=torch.zeros(1, 32))


def ibot(net=None):
    net = net or dict(source()[0], masked_embed=torch.zeros(1, DIM))
    copies = {
        k.replace('last_layer', 'last_layer2'): v
        for k, v in head()[0].items()
        if 'last_layer' in k
    }
    return teacher_and_student(net, {**head()[0], **copies}, ibot_loss={})


def msn():
    names = {0: 'fc1', 1: 'bn1', 3: 'fc2', 4: 'bn2', 6: 'fc3'}
    mlp = head(use_bn=True)[1]
    fc = {
        f'fc.{names[int(k[0])]}{k[1:]}': v for k, v in mlp.state_dict().items()
    }
    state = under('module.', {**source()[0], **fc})
    return dict(
        encoder={k: v + 1 for k, v in state.items()},
        target_encoder=state,
        prototypes=head()[2],
        opt={},
        epoch=600,
    )


def giant():
    names = (('.fc1.', '.w12.'), ('.fc2.', '.w3.'))
    net = in_chunks(source(GIANT)[0])
    for old, new in names:
        net = {k.replace(old, new): v for k, v in net.items()}
    return net


def moco():
    model = under('module.base_encoder.', source(MOCO)[0])
    return dict(arch='vit_small', state_dict=model)


def torchvision():
    """torchvision's names."""
    names = (
        ('cls_token', 'class_token'),
        ('patch_embed.proj', 'conv_proj'),
        ('pos_embed', 'encoder.pos_embedding'),
        ('blocks.', 'encoder.layers.encoder_layer_'),
        ('.norm', '.ln_'),
        ('attn.qkv.', 'self_attention.in_proj_'),
        ('attn.proj', 'self_attention.out_proj'),
        ('fc1', '0'),
        ('fc2', '3'),
    )
    net = dict(source(TORCHVISION)[0])
    net = {
        k.replace('norm.', 'encoder.ln.') if k[0] == 'n' else k: v
        for k, v in net.items()
    }
    for old, new in names:
        net = {k.replace(old, new): v for k, v in net.items()}
    return dict(net, **{'heads.head.weight': torch.zeros(2, DIM)})


def solo():
    names = ('classifier.weight', 'projector.0.weight')
    state = {name: torch.ones(3, DIM) for name in names}
    return dict(state_dict={**under('backbone.', source()[0]), **state})


def dinov2():
    teacher = {
        **under('backbone.', in_chunks(source(REG)[0])),
        **head(name='dino_head.')[0],
        **head(name='ibot_head.', out=5)[0],
    }
    return dict(teacher=teacher)


# file, timm's model, head with BatchNorm or none, layout
CASES = {
    'timm': (lambda: source()[0], SMALL, None, 'timm ViT/16'),
    'DINO': (dino, SMALL, False, 'official DINO ViT/16'),
    'iBOT': (ibot, SMALL, False, 'official iBOT ViT/16'),
    'iBOT Swin': (
        lambda: ibot(swin()),
        IBOT_SWIN,
        False,
        'official iBOT Swin',
    ),
    'timm Swin': (lambda: source(SWIN)[0], SWIN, None, 'timm Swin'),
    'MSN': (msn, SMALL, True, 'official MSN ViT/16'),
    'DINOv2 training': (dinov2, REG, False, 'official DINOv2 ViT/14'),
    'DINOv2': (
        lambda: in_chunks(source(REG)[0]),
        REG,
        None,
        'official DINOv2',
    ),
    'DINOv2 giant': (giant, GIANT, None, 'official DINOv2 ViT/14'),
    'MoCo v3': (moco, MOCO, None, 'official MoCo v3 ViT-S/32'),
    'solo-learn': (solo, SMALL, ..., 'solo-learn ViT/16'),
    'torchvision': (torchvision, TORCHVISION, None, 'torchvision ViT/16'),
}


@pytest.mark.parametrize('case', CASES)
def test_layouts(tmp_path, case):
    content, name, bn, layout = CASES[case]
    torch.save(content(), path := tmp_path / 'x.pth')
    checkpoint = Checkpoint.open(path)
    momentum = case.startswith(('DINO', 'iBOT', 'MSN')) and 'v2' not in case
    encoder = checkpoint.encoder(momentum)
    features = source(name)[1]
    got = encoder.embed(images())
    torch.testing.assert_close(got[0], features, **CLOSE)
    assert encoder.layout.startswith(layout)
    assert any('as weights do not tell' in note for note in encoder.notes)
    if bn is ...:
        return
    if bn is None:
        assert got[1] is None and checkpoint.prototypes() == {}
        return
    _, mlp, prototypes = head(bn)
    with torch.no_grad():
        expected = F.normalize(mlp(features), dim=1)
    torch.testing.assert_close(got[1], expected, **CLOSE)
    sets = checkpoint.prototypes(momentum)
    torch.testing.assert_close(sets[f'prototypes (K={K})'], prototypes)
    patches = ['patch prototypes (K=5)'] * (case == 'DINOv2 training')
    assert list(sets) == [f'prototypes (K={K})', *patches]
    assert list(encoder.prototypes) == [f'prototypes (K={K})']


def test_an_exported_swin_of_ibot_keeps_its_epsilon(tmp_path):
    torch.save(ibot(swin()), path := tmp_path / 'x.pth')
    result = export(path, tmp_path / 'y.pth', 'mmpretrain', momentum=True)
    assert result.agreement.difference == 0
    backbone = Checkpoint.open(result.path).encoder().backbone
    norms = [m for m in backbone.modules() if isinstance(m, nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {1e-6}


@pytest.mark.parametrize('name', [SMALL, REG, SWIN])
def test_names_of_mmpretrain_without_a_config(tmp_path, name):
    state, features = source(name)
    torch.save(state, path := tmp_path / 'x.pth')
    own = Checkpoint.open(path).encoder().backbone.state_dict()
    torch.save({f'backbone.{k}': v for k, v in own.items()}, path)
    encoder = Checkpoint.open(path).encoder()
    torch.testing.assert_close(encoder.embed(images())[0], features, **CLOSE)


def test_a_config_of_other_heads(tmp_path):
    """The config wins over the assumption, for official names too."""
    path = tmp_path / 'x.pth'
    torch.save(dino(), path)
    arch = dict(
        embed_dims=DIM, num_layers=2, num_heads=4, feedforward_channels=256
    )
    backbone = dict(type='VisionTransformer', arch=arch, img_size=SIZE)
    config = Config(dict(model=dict(backbone=backbone)))
    encoder = Checkpoint.open(path, config).encoder(momentum=True)
    net = timm.create_model(
        SMALL, num_classes=0, img_size=SIZE, **dict(VIT, num_heads=4)
    )
    net.load_state_dict(source()[0])
    with torch.no_grad():
        features = net.eval()(images())
    torch.testing.assert_close(encoder.embed(images())[0], features, **CLOSE)
    assert not any('Assumed' in note for note in encoder.notes)


def test_a_network_of_mmpretrain_that_has_names_of_timm(tmp_path):
    arch = dict(layers=[1] * 4, embed_dims=[8] * 4, mlp_ratios=[1] * 4)
    arch['layer_scale_init_value'] = 1
    cfg = dict(model=dict(backbone=dict(type='PoolFormer', arch=arch)))
    net = MODELS.build(dict(cfg['model']['backbone']))
    state = under('backbone.', net.state_dict())
    torch.save(dict(state_dict=state), path := tmp_path / 'x.pth')
    encoder = Checkpoint.open(path, Config(cfg)).encoder()
    own = encoder.backbone.state_dict()
    assert all(torch.equal(own[k], v) for k, v in net.state_dict().items())


@pytest.mark.parametrize('name', [SMALL, REG])
def test_images_of_another_size(tmp_path, name):
    """Positions are interpolated by bicubic splines to the new grid."""
    state = dict(source(name)[0])
    torch.save(state, path := tmp_path / 'x.pth')
    encoder = Checkpoint.open(path).encoder()
    size = 2 * SIZE
    net = timm.create_model(name, num_classes=0, img_size=size, **VIT)
    alone = name == SMALL  # a class token with a position
    grid = state['pos_embed'][:, alone:]
    side = int(grid.shape[1] ** 0.5)
    grid = grid.transpose(1, 2).unflatten(2, (side, side))
    grid = F.interpolate(grid, scale_factor=2, mode='bicubic')
    grid = grid.flatten(2).transpose(1, 2)
    first = state['pos_embed'][:, :alone]
    state['pos_embed'] = torch.cat([first, grid], dim=1)
    net.load_state_dict(state)
    with torch.no_grad():
        features = net.eval()(images(size))
    got = encoder.embed(images(size))[0]
    torch.testing.assert_close(got, features, **CLOSE)


HEAD, _, ROWS = head(use_bn=True)
PLAIN_HEAD = head()[0]

# A file without a network, its layout and its sets of prototypes.
PROTOTYPES = {
    'a matrix': (ROWS, 'prototypes alone', [K]),
    'one layer': ({'prototypes.weight': ROWS}, 'prototypes alone', [K]),
    'DINO head': (
        {'teacher': under('head.', PLAIN_HEAD)},
        'official DINO',
        [K],
    ),
    'iBOT head': (
        {
            **PLAIN_HEAD,
            'last_layer2.weight_g': torch.ones(5, 1),
            'last_layer2.weight_v': ROWS[:5],
        },
        'official iBOT',
        [K, 5],
    ),
    'CARP head': ({'teacher': under('head.', HEAD)}, 'official CARP', [K]),
    'Web-DINO heads': (
        {
            'teacher': {
                **under('dino_head.', PLAIN_HEAD),
                **head(name='ibot_head.', out=5)[0],
            }
        },
        'official DINOv2',
        [K, 5],
    ),
    'DINOv2 heads alone': (
        under('dino_head.', PLAIN_HEAD),
        'official DINOv2',
        [K],
    ),
    'CAPI training': (
        {
            'model': {
                'student.head.last_layer.weight_g': torch.ones(K, 1),
                'student.head.last_layer.weight_v': ROWS,
                'teacher.head.layer.weight': ROWS,
                'teacher.head.layer.bias': torch.zeros(K),
            }
        },
        'official CAPI',
        [K],
    ),
    'SwAV': (
        {'module.prototypes.prototypes0.weight': ROWS, 'module.x': ROWS},
        'prototypes alone',
        [K],
    ),
}


@pytest.mark.parametrize('case', PROTOTYPES)
def test_prototypes_without_a_network(tmp_path, case):
    content, layout, counts = PROTOTYPES[case]
    torch.save(content, path := tmp_path / 'x.pth')
    checkpoint = Checkpoint.open(path)
    assert checkpoint.layout.name == layout
    sets = checkpoint.prototypes()
    assert [len(rows) for rows in sets.values()] == counts
    first = next(iter(sets.values()))
    torch.testing.assert_close(F.normalize(first), F.normalize(ROWS))
    with pytest.raises(ValueError, match='no network'):
        checkpoint.encoder()


def without(state, *parts):
    return {k: v for k, v in state.items() if not any(p in k for p in parts)}


ZERO, NAN = ROWS.clone(), ROWS.clone()
ZERO[3], NAN[2, 1] = 0, torch.nan


@pytest.mark.parametrize(
    'content, message',
    [
        (NAN, 'NaN or infinite'),
        (ZERO, '1 zero vectors .* at 3'),
        (
            under(
                'head.',
                without(PLAIN_HEAD, 'weight_')
                | {'last_layer.weight': torch.randn(16, 20)},
            ),
            'D x K, transposed: save 20 x 16',
        ),
        (
            under('head.', without(PLAIN_HEAD, 'weight_g')),
            'weight_v .* with',
        ),
        (under('head.', without(PLAIN_HEAD, 'mlp.2.')), 'layer 3 has no'),
        (under('head.', without(PLAIN_HEAD, 'mlp.0.')), 'layer 0 has no'),
        (under('head.', without(PLAIN_HEAD, 'mlp.4.')), 'D = 24: they belong'),
        (under('head.', without(HEAD, 'mlp.1.running_v')), '1.running_var'),
    ],
)
def test_prototypes_and_heads_that_are_not_whole(tmp_path, content, message):
    torch.save(content, path := tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=message):
        Checkpoint.open(path).prototypes()


def changed(**tensors):
    return dict(source()[0], **tensors)


@pytest.mark.parametrize(
    'content, message',
    [
        (
            changed(pos_embed=torch.zeros(1, 31, DIM)),
            r'16 x 16 pixels and width 64, but a position .*\(1, 31, 64\)',
        ),
        (changed(pos_embed=torch.zeros(1, 50, 32)), r'\(1, 50, 32\)'),
        (changed(**{'rope.periods': torch.ones(4)}), 'unknown: rope.periods'),
        (without(source()[0], 'cls_token'), 'lacks cls_token'),
        ({'patch_embed.proj.0.0.weight': ROWS}, 'an XCiT, which is not read'),
        (without(source()[0], 'blocks.1.mlp'), 'missing: layers.1.ffn'),
        (
            dict(
                teacher={
                    **under('backbone.', source()[0]),
                    **head(dim=48, name='head.')[0],
                }
            ),
            "'teacher.backbone.' gives 64",
        ),
    ],
)
def test_networks_that_are_not_whole(tmp_path, content, message):
    torch.save(content, path := tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=message):
        Checkpoint.open(path).encoder()
