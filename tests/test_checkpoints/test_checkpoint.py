# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints of mmengine, with their config, another one, or none."""

import copy
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from pauc_mm.checkpoints import Checkpoint
from pauc_mm.clustering import OnlineGaussianMixture
from pauc_mm.models import embed_images
from pauc_mm.utils.shipped_files import resolve_config
from tests.helpers import PLAIN, load_encoder, model_cfg
from tests.test_checkpoints.source_models import shaken
from tests.test_models.test_carp import carp_cfg

CLOSE = dict(rtol=1e-5, atol=1e-5)
RESNET = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8)
DATA = dict(
    dataset=dict(
        type='SklearnDigits', split='test', pipeline=[dict(type='PackInputs')]
    )
)
NORM = dict(mean=[123.0, 116.0, 103.0], std=[58.0, 57.0, 56.0], to_rgb=True)
MOCO = dict(
    type='MoCo',
    queue_len=16,
    feat_dim=6,
    backbone=RESNET,
    neck=dict(
        type='MoCoV2Neck', in_channels=64, hid_channels=12, out_channels=6
    ),
    head=dict(
        type='ContrastiveHead',
        loss=dict(type='CrossEntropyLoss'),
        temperature=0.1,
    ),
)
FC_BN = dict(
    type='NonLinearNeck', in_channels=64, hid_channels=12, out_channels=6
)
SIMCLR = dict(MOCO, type='SimCLR', neck=FC_BN)
BYOL = dict(
    type='BYOL',
    backbone=dict(RESNET, norm_cfg=dict(type='SyncBN')),
    neck=dict(FC_BN, num_layers=3, with_bias=True, with_last_bn_affine=False),
    head=dict(
        type='LatentPredictHead',
        loss=dict(type='CosineSimilarityLoss'),
        predictor=dict(FC_BN, in_channels=6, with_avg_pool=False),
    ),
)
SWAV = dict(
    type='SwAV',
    backbone=RESNET,
    neck=dict(
        type='SwAVNeck', in_channels=64, hid_channels=12, out_channels=6
    ),
    head=dict(
        type='SwAVHead',
        loss=dict(type='SwAVLoss', feat_dim=6, num_prototypes=10),
    ),
)
for unused in ('queue_len', 'feat_dim'):
    SIMCLR.pop(unused)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def built(cfg):
    model = MODELS.build(copy.deepcopy(cfg))
    with torch.no_grad():  # so that the averages differ from the sources
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return shaken(model)


def checkpoint(model, cfg, epoch=12, **changes):
    """Write a checkpoint as mmengine's Runner does."""
    cfg = Config(
        dict(
            default_scope='mmpretrain',
            custom_imports=dict(imports=['pauc_mm']),
            data_preprocessor=NORM,
            model=cfg,
            val_dataloader=DATA,
            **changes,
        )
    )
    return dict(
        meta=dict(epoch=epoch, iter=99, cfg=cfg.pretty_text),
        state_dict=OrderedDict(model.state_dict()),
        message_hub=dict(
            log_scalars={
                'train/loss': HistoryBuffer([1.0, 0.5], [1, 1]),
            },
            runtime_info=dict(best=np.float64(0.5), array=np.arange(3)),
        ),
        optimizer=dict(state={}, param_groups=[]),
    )


def saved(tmp_path, content):
    path = tmp_path / 'epoch_12.pth'
    torch.save(content, path)
    return path


def pictures(size=32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 3, size, size, generator=generator)


def forward(backbone, neck, name='', size=32):
    """Features and embeddings, by the networks that were saved."""
    with torch.no_grad():
        maps = backbone(pictures(size))
        # as SwAV calls its neck: one tuple of maps for each crop size
        out = neck([maps]) if name == 'SwAV' else neck(maps)[0]
    return maps[-1].mean((2, 3)), F.normalize(out, dim=1)


def check(encoder, expected, size=32):
    for got, wanted in zip(encoder.embed(pictures(size)), expected):
        torch.testing.assert_close(got, wanted, **CLOSE)


@pytest.mark.parametrize('cfg', [MOCO, SIMCLR, BYOL, SWAV])
@pytest.mark.parametrize('with_config', [True, False])
def test_methods_of_mmpretrain(tmp_path, cfg, with_config):
    model = built(cfg)
    content = checkpoint(model, cfg)
    if not with_config:
        del content['meta']['cfg']
    encoder = load_encoder(saved(tmp_path, content))
    check(encoder, forward(model.backbone, model.neck, cfg['type']))
    assert encoder.epoch == 12
    assert not encoder.neck.training
    if with_config:
        assert encoder.layout == f'mmpretrain {cfg["type"]}'
        assert encoder.preprocess == NORM
        assert encoder.dataset == DATA['dataset']
        assert encoder.pipeline == DATA['dataset']['pipeline']
        assert encoder.config.model.type == cfg['type']
    else:
        assert encoder.layout == 'mmpretrain ResNet-18 (width 8)'
        assert encoder.config is encoder.pipeline is None
        assert any('There is no config' in note for note in encoder.notes)
    if cfg is SWAV:
        assert list(encoder.prototypes) == ['prototypes (K=10)']
        assert torch.equal(
            encoder.prototypes['prototypes (K=10)'],
            model.head.loss_module.prototypes.weight.data,
        )
    else:
        assert encoder.prototypes == {}


@pytest.mark.parametrize(
    'cfg, average', [(MOCO, 'encoder_k'), (BYOL, 'target_net')]
)
@pytest.mark.parametrize('with_config', [True, False])
def test_momentum_encoders(tmp_path, cfg, average, with_config):
    model = built(cfg)
    content = checkpoint(model, cfg)
    if not with_config:
        del content['meta']['cfg']
    encoder = load_encoder(saved(tmp_path, content), momentum=True)
    check(encoder, forward(*getattr(model, average).module))
    with pytest.raises(ValueError, match='no momentum encoder'):
        content = checkpoint(built(SIMCLR), SIMCLR)
        load_encoder(saved(tmp_path, content), momentum=True)


@pytest.mark.parametrize('kind', ['PCL', 'PAUC'])
@pytest.mark.parametrize('momentum', [False, True])
def test_pcl_and_pauc_with_their_prototypes(tmp_path, kind, momentum):
    cfg = model_cfg(kind)
    model = built(cfg)
    model.prototypes.update(
        [torch.randn(4, 8), torch.randn(6, 8)],
        [torch.ones(4), torch.ones(6)],
        torch.zeros(2, 20, dtype=torch.int64),
        torch.device('cpu'),
        epoch=11,
    )
    content = checkpoint(
        model,
        cfg,
        default_hooks=dict(
            clustering=dict(type='ClusteringHook', pipeline=PLAIN)
        ),
    )
    content['clustering'] = model.prototypes.clustering()
    encoder = load_encoder(saved(tmp_path, content), momentum=momentum)
    nets = (model.backbone, model.neck)
    check(
        encoder,
        forward(*(model.encoder_k.module if momentum else nets), size=8),
        size=8,
    )
    assert encoder.layout == f'pauc_mm {kind}'
    assert list(encoder.prototypes) == [
        'clustering 0 (K=4)',
        'clustering 1 (K=6)',
    ]
    for got, wanted in zip(
        encoder.prototypes.values(), model.prototypes.centroids
    ):
        assert torch.equal(got, wanted)
    assert encoder.prototype_space == 'embedding'
    assert encoder.preprocess == dict(
        mean=[127.5] * 3, std=[127.5] * 3, to_rgb=False
    )
    assert any('made for epoch 12' in note for note in encoder.notes)


PROTOTYPES = {
    'joint CARP': 'LearnedPrototypes',
    'decoupled CARP': 'MixturePrototypes',
}


def mixture_begun(mixture):
    mixture.initialise(F.normalize(torch.randn(40, mixture.dim), dim=1))


@pytest.mark.parametrize('begun', [False, True])
@pytest.mark.parametrize('kind', ['joint CARP', 'decoupled CARP', 'PCL'])
def test_prototypes_that_are_learned_or_online(tmp_path, kind, begun):
    if kind == 'PCL':
        cfg = model_cfg('PCL', prototypes=dict(type='MixturePrototypes'))
    else:
        cfg = carp_cfg(prototypes=dict(type=PROTOTYPES[kind]))
    model = built(cfg)
    mixtures = [
        module
        for module in model.modules()
        if isinstance(module, OnlineGaussianMixture)
    ]
    for mixture in mixtures if begun else ():
        mixture_begun(mixture)
    encoder = load_encoder(saved(tmp_path, checkpoint(model, cfg)))
    if kind == 'joint CARP':
        expected = {'prototypes (K=12)': model.prototypes.weight}
    elif not begun:
        expected = {}
    elif kind == 'decoupled CARP':
        expected = {'prototypes 0 (K=12)': mixtures[0].means}
    else:
        expected = {
            f'prototypes {m} (K={k})': mixtures[m].means
            for m, k in enumerate((4, 6))
        }
    assert list(encoder.prototypes) == list(expected)
    for got, wanted in zip(encoder.prototypes.values(), expected.values()):
        assert torch.equal(got, wanted.detach())
    assert not any('prototypes (' in note for note in encoder.notes)


def test_embeds_as_the_model_of_the_run_does(tmp_path):
    cfg = model_cfg('PCL')
    model = built(cfg)
    encoder = load_encoder(saved(tmp_path, checkpoint(model, cfg)))
    pixels = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    batch = model.data_preprocessor(dict(inputs=pixels, data_samples=None))
    expected = embed_images(model, batch['inputs'])
    got = encoder.embed(encoder.preprocess_images(pixels))
    for a, b in zip(got, expected):
        torch.testing.assert_close(a, b)


def test_pipeline_of_the_clustering_hook(tmp_path):
    views = dict(type='MultiView', num_views=2, transforms=[PLAIN])
    cfg = model_cfg('PCL')
    content = checkpoint(built(cfg), cfg)
    for dataset in (None, dict(type='CustomDataset', pipeline=[views])):
        text = Config(
            dict(
                model=cfg,
                val_dataloader=dict(dataset=dataset),
                default_hooks=dict(clustering=dict(pipeline=PLAIN)),
            )
        ).pretty_text
        content['meta']['cfg'] = text
        encoder = load_encoder(saved(tmp_path, content))
        assert encoder.pipeline == PLAIN and encoder.dataset is None


def test_linear_neck_and_classifier_without_config(tmp_path):
    linear = dict(type='LinearNeck', in_channels=64, out_channels=6, gap_dim=2)
    for norm in (None, dict(type='BN1d')):
        cfg = dict(MOCO, neck=dict(linear, norm_cfg=norm))
        model = built(cfg)
        content = dict(state_dict=model.state_dict())
        encoder = load_encoder(saved(tmp_path, content))
        check(encoder, forward(model.backbone, model.neck))
    cfg = dict(
        type='ImageClassifier',
        backbone=RESNET,
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=5, in_channels=64),
    )
    model = built(cfg)
    for content in (
        checkpoint(model, cfg),
        dict(meta={}, state_dict=model.state_dict()),
    ):
        encoder = load_encoder(saved(tmp_path, content))
        features, embeddings = encoder.embed(pictures())
        with torch.no_grad():
            expected = model.backbone(pictures())[-1].mean((2, 3))
        torch.testing.assert_close(features, expected, **CLOSE)
        assert embeddings is None
        assert any('no projection head' in note for note in encoder.notes)


def test_config_that_is_given_comes_first(tmp_path):
    """The given config wins for a MoCo run and for a published backbone."""
    model = built(MOCO)
    path = tmp_path / 'moco.py'
    given = Config(
        dict(model=MOCO, data_preprocessor=dict(NORM, mean=[0] * 3))
    )
    given.dump(path)
    content = dict(state_dict=model.state_dict())
    for config in (str(path), given):
        encoder = load_encoder(saved(tmp_path, content), config=config)
        check(encoder, forward(model.backbone, model.neck))
        assert encoder.layout == 'mmpretrain MoCo'
        assert encoder.preprocess['mean'] == [0] * 3
    encoder = load_encoder(
        saved(tmp_path, model.backbone.state_dict()), config=given
    )
    torch.testing.assert_close(
        encoder.embed(pictures())[0],
        forward(model.backbone, model.neck)[0],
        **CLOSE,
    )
    assert encoder.preprocess['mean'] == [0] * 3
    assert encoder.layout == 'torchvision ResNet-18'


def test_config_that_does_not_match(tmp_path):
    path = saved(tmp_path, checkpoint(built(MOCO), MOCO))
    with pytest.raises(FileNotFoundError, match="no config 'nowhere.py'"):
        load_encoder(path, config='nowhere.py')
    with pytest.raises(ValueError, match=f"'{path}' is no config"):
        load_encoder(path, config=str(path))
    with pytest.raises(ValueError, match='no model with a backbone'):
        load_encoder(path, config=Config(dict(lr=1)))
    wide = Config(
        dict(model=dict(MOCO, backbone=dict(RESNET, base_channels=16)))
    )
    with pytest.raises(ValueError, match=r'another shape: layer1\.0\.conv1'):
        load_encoder(path, config=wide)
    deep = Config(dict(model=dict(MOCO, backbone=dict(RESNET, depth=34))))
    with pytest.raises(ValueError, match=r'missing: layer1\.2\.conv1\.weight'):
        load_encoder(path, config=deep)
    neck = Config(dict(model=dict(MOCO, neck=FC_BN)))
    with pytest.raises(ValueError, match=r'neck.* missing: fc0'):
        load_encoder(path, config=neck)
    unknown = Config(dict(model=dict(MOCO, backbone=dict(type='Nothing'))))
    with pytest.raises(ValueError, match='backbone of the config .* cannot'):
        load_encoder(path, config=unknown)


@pytest.mark.parametrize(
    'key, value, named',
    [
        ('backbone.layer2.0.conv1.weight', float('nan'), 'backbone.layer2.0'),
        ('neck.mlp.2.bias', float('inf'), 'neck.mlp.2.bias'),
    ],
)
def test_weights_that_are_not_finite(tmp_path, key, value, named):
    content = checkpoint(built(MOCO), MOCO)
    content['state_dict'][key].view(-1)[0] = value
    with pytest.raises(ValueError, match=f'NaN or infinite.*1 of.*{named}'):
        load_encoder(saved(tmp_path, content))


def test_prototypes_that_are_not_finite(tmp_path):
    content = checkpoint(built(SWAV), SWAV)
    key = 'head.loss_module.prototypes.weight'
    content['state_dict'][key][3, 2] = float('nan')
    with pytest.raises(ValueError, match=r'NaN.*prototypes \(K=10\)'):
        load_encoder(saved(tmp_path, content))


@pytest.mark.slow
def test_shipped_configs_are_known_by_name(tmp_path):
    path = tmp_path / 'weights.pth'
    cfg = Config.fromfile(resolve_config('pauc_tiny_digits.py'))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(
            {**cfg.model, 'data_preprocessor': cfg.data_preprocessor}
        )
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    encoder = load_encoder(path, 'pauc_mm::pauc_tiny_digits.py')
    assert encoder.layout == 'pauc_mm PAUC'
    assert encoder.dataset['type'] == 'SklearnDigits'
    with pytest.raises(ValueError, match=r'missing: \w+'):
        name = 'mocov2_resnet50_8xb32-coslr-200e_in1k.py'
        load_encoder(path, f'mmpretrain::mocov2/{name}')
    with pytest.raises(FileNotFoundError, match='pauc_tiny_digits'):
        load_encoder(path, 'pauc_mm::pauc_tiny_digit.py')


def test_parts_are_read_without_the_others(tmp_path):
    model = built(SWAV)
    content = checkpoint(model, SWAV)
    for key in list(content['state_dict']):
        if key.startswith('backbone.layer'):  # no encoder can be loaded
            del content['state_dict'][key]
    opened = Checkpoint.open(saved(tmp_path, content))
    (prototypes,) = opened.prototypes().values()
    weight = model.head.loss_module.prototypes.weight
    assert torch.equal(prototypes, weight.detach())
    with pytest.raises(ValueError, match=r'missing: \w+'):
        opened.encoder()


def test_a_checkpoint_is_opened_once_for_both_encoders(tmp_path):
    model = built(MOCO)
    opened = Checkpoint.open(saved(tmp_path, checkpoint(model, MOCO)))
    first, averaged = opened.encoder(), opened.encoder(momentum=True)
    check(first, forward(model.backbone, model.neck))
    check(averaged, forward(*model.encoder_k.module))
    assert opened.encoder().notes == first.notes != averaged.notes
    assert opened.epoch == 12 and opened.notes == []
