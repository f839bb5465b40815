# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Recipes compared on ImageNet: as published, and alike on ImageNet-100."""

import inspect

import pytest
import torch
from mmengine.hooks import CheckpointHook
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.engine.hooks import SwAVHook
from mmpretrain.registry import MODELS

from tests.test_configs.recipes import MMPRETRAIN, RECIPES
from tests.test_configs.recipes import load as load_recipe

METHODS = [
    name.partition('_r50_')[0]
    for name in RECIPES
    if '_r50_' in name and name.endswith('_in1k')
]
# The files of mmpretrain of which ours have the model.
SAME_MODEL = {
    'mocov2': 'mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py',
    'simclr': 'simclr/simclr_resnet50_8xb32-coslr-200e_in1k.py',
    'swav': 'swav/swav_resnet50_8xb32-mcrop-coslr-200e_in1k-224px-96px.py',
    'byol': 'byol/byol_resnet50_16xb256-coslr-200e_in1k.py',
}
LOADERS = (
    'train_dataloader',
    'bank_dataloader',
    'val_dataloader',
    'test_dataloader',
    'val_cfg.bank_dataloader',
    'test_cfg.bank_dataloader',
)
# Images of ImageNet-1k (ILSVRC 2012) and of CMC's 100 classes in it, and the
# steps of an epoch of 8 processes x 32 of them, the last batch dropped.
IMAGES = dict(in1k=1_281_167, in100=126_689)
STEPS = {data: -(-n // 8) // 32 for data, n in IMAGES.items()}


def load(method, data):
    batch = 64 if (method, data) == ('cld', 'in1k') else 32
    return load_recipe(f'{method}_r50_8xb{batch}_{data}')


def theirs(method):
    return load_recipe(MMPRETRAIN / SAME_MODEL[method])


def unscoped(value):
    """Without the marks of what was inherited from mmpretrain's configs."""
    if isinstance(value, dict):
        return {k: unscoped(v) for k, v in value.items() if k != '_scope_'}
    return [unscoped(v) for v in value] if isinstance(value, list) else value


def flat(value, prefix=''):
    """Leaves of a config by dotted key; lists are leaves."""
    if not isinstance(value, dict):
        return {prefix[:-1]: value}
    leaves = {}
    for key, part in value.items():
        leaves.update(flat(part, f'{prefix}{key}.'))
    return leaves


# ---- ImageNet-1k, as published ---------------------------------------------
@pytest.mark.parametrize('method', SAME_MODEL)
def test_the_model_is_mmpretrains(method):
    ours, other = load(method, 'in1k').model, theirs(method).model
    other.pop('data_preprocessor', None)  # of SwAV; ours is the recipe's
    if method == 'swav':  # written out here, a default there
        loss = MODELS.get('SwAVLoss')
        default = inspect.signature(loss).parameters['num_prototypes'].default
        assert ours.head.loss.pop('num_prototypes') == default == 3000
    if method == 'byol':
        assert ours.pop('base_momentum') * 16 == other.pop('base_momentum')
    assert ours == other


@pytest.mark.parametrize('method', SAME_MODEL)
def test_the_preprocessing_is_mmpretrains(method):
    cfg = load(method, 'in1k')
    other = theirs(method).data_preprocessor
    assert unscoped(cfg.data_preprocessor) == other


def with_our_transforms(view):
    """mmpretrain's transforms of a view by the names and keys of ours."""
    for step in view:
        step = dict(step)
        kind, prob = step.pop('type'), step.pop('prob', None)
        if kind == 'RandomApply':
            (step,) = map(dict, step['transforms'])
            kind = step.pop('type')
        elif kind == 'RandomResizedCrop':
            assert step.pop('backend') == 'pillow'
        elif kind == 'RandomGrayscale':  # weights of blue, green and red
            assert step.pop('channel_weights') == (0.114, 0.587, 0.2989)
            assert step.pop('keep_channels')
        elif kind == 'GaussianBlur':  # 'inf' stands for a uniform draw
            assert step.pop('magnitude_std') == 'inf'
            step = dict(sigma=step.pop('magnitude_range'), **step)
        elif kind == 'Solarize':
            step = dict(threshold=step.pop('thr'), **step)
        name = kind.replace('Random', '')
        if prob != 0:  # of BYOL's first view
            yield {
                'type': f'View{name}',
                **step,
                **({} if prob is None else dict(prob=prob)),
            }


@pytest.mark.parametrize('method', SAME_MODEL)
def test_the_views_are_mmpretrains(method):
    def views(cfg):
        (multi,) = (
            t
            for t in cfg.train_dataloader.dataset.pipeline
            if t['type'] == 'MultiView'
        )
        return multi.num_views, multi.transforms

    number, ours = views(load(method, 'in1k'))
    their_number, others = views(theirs(method))
    assert number == their_number
    assert ours == [list(with_our_transforms(view)) for view in others]


def test_values_of_moco_v2():
    """arXiv 2003.04297 and the official code, `--lr 0.03 --mlp --moco-t 0.2
    --aug-plus --cos`, whose defaults are 256 images, 65,536 keys, 200 epochs.
    """
    cfg = load('mocov2', 'in1k')
    assert cfg.model.queue_len == 65536
    assert cfg.model.head.temperature == 0.2
    assert unscoped(cfg.optim_wrapper.optimizer) == dict(
        type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4
    )
    assert cfg.param_scheduler[0].type == 'CosineAnnealingLR'
    assert cfg.train_dataloader.batch_size * 8 == 256
    assert cfg.train_cfg.max_epochs == 200


def test_values_of_simclr():
    """ICML 2020: 0.3 for 256 images, LARS, 1e-6, ten epochs of warm-up; the
    batch, the epochs and the temperature are mmpretrain's.
    """
    cfg = load('simclr', 'in1k')
    assert unscoped(cfg.optim_wrapper) == theirs('simclr').optim_wrapper
    rates = theirs('simclr').param_scheduler
    assert unscoped(cfg.param_scheduler) == rates
    assert unscoped(cfg.optim_wrapper.optimizer) == dict(
        type='LARS', lr=0.3, momentum=0.9, weight_decay=1e-6
    )
    assert cfg.param_scheduler[0].end == 10
    assert cfg.model.head.temperature == 0.1
    assert cfg.train_dataloader.batch_size * 8 == 256
    assert cfg.train_cfg.max_epochs == 200


def test_values_of_swav():
    """The official scripts/swav_200ep_bs256_pretrain.sh, and the momentum of
    its main_swav.py.
    """
    cfg = load('swav', 'in1k')
    loss = cfg.model.head.loss
    assert (loss.epsilon, loss.temperature) == (0.05, 0.1)
    assert (loss.num_prototypes, loss.feat_dim) == (3000, 128)
    assert unscoped(cfg.optim_wrapper.optimizer) == dict(
        type='LARS', lr=0.6, momentum=0.9, weight_decay=1e-6
    )
    (cosine,) = cfg.param_scheduler
    assert (cosine.T_max, cosine.eta_min) == (200, 0.0006)
    assert cosine == theirs('swav').param_scheduler[0]
    hook = cfg.default_hooks.swav
    assert (hook.queue_length, hook.epoch_queue_starts) == (3840, 15)
    assert hook.frozen_layers_cfg == dict(prototypes=5005)
    (other,) = theirs('swav').custom_hooks
    assert other.pop('priority') == 'VERY_HIGH'
    assert hook == other
    assert cfg.find_unused_parameters is True
    assert cfg.train_dataloader.batch_size * 8 == 256
    assert cfg.train_cfg.max_epochs == 200


def test_swavs_hook_acts_before_the_checkpoint_without_a_priority_too():
    priorities = [hook.priority for hook in (SwAVHook, CheckpointHook)]
    assert priorities == ['NORMAL', 'VERY_LOW']


def test_values_of_byol():
    """NeurIPS 2020, appendix: 4,096 images an update, 0.3 for each 256 of
    them, 1e-6, tau of 0.99 where it trains for 300 epochs or fewer.
    """
    cfg = load('byol', 'in1k')
    other = theirs('byol')
    steps = cfg.optim_wrapper.accumulative_counts
    assert cfg.train_dataloader.batch_size * 8 * steps == 4096
    # Of an update, while what is followed does not change
    assert (1 - cfg.model.base_momentum) ** steps == pytest.approx(
        0.99, abs=1e-4
    )
    assert unscoped(cfg.optim_wrapper.optimizer) == dict(
        type='LARS', lr=4.8, momentum=0.9, weight_decay=1e-6
    )
    assert cfg.optim_wrapper.paramwise_cfg == other.optim_wrapper.paramwise_cfg
    assert unscoped(cfg.param_scheduler) == other.param_scheduler
    assert cfg.train_cfg.max_epochs == 200


@pytest.mark.slow
@pytest.mark.parametrize('method', ['simclr', 'byol'])
def test_the_backbones_norms_and_biases_have_no_lars(method):
    cfg = load(method, 'in100')
    init_default_scope('mmpretrain')
    model = MODELS.build(
        {**cfg.model, 'data_preprocessor': cfg.data_preprocessor}
    )
    flat_ones = {id(p) for p in model.backbone.parameters() if p.ndim == 1} | {
        id(p) for n, p in model.named_parameters() if n.endswith('bias')
    }
    found = set()
    for group in build_optim_wrapper(model, cfg.optim_wrapper).param_groups:
        for parameter in group['params']:
            if id(parameter) in flat_ones:
                assert group['lars_exclude'] and group['weight_decay'] == 0
                found.add(id(parameter))
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    assert found == flat_ones & trained


# ---- all of them -----------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize('data', ['in1k', 'in100'])
def test_all_are_measured_alike(data):
    base = load('pauc', data)
    for method in METHODS:
        cfg = load(method, data)
        for key in ('val_dataloader', 'val_evaluator', 'val_cfg'):
            assert cfg[key] == base[key], (method, key)
        assert cfg.train_cfg.val_interval == base.train_cfg.val_interval
        assert cfg.randomness == base.randomness
        for hook in ('checkpoint', 'checkpoint_guard', 'epoch_seed'):
            assert cfg.default_hooks[hook] == base.default_hooks[hook]
        expected = 100 if 'carp' in method else 200
        assert cfg.train_cfg.max_epochs == expected


@pytest.mark.parametrize('method', METHODS)
def test_imagenet100_is_read_everywhere(method):
    found = {
        key: value
        for key, value in flat(load(method, 'in100').to_dict()).items()
        if key.endswith('dataloader.dataset.type')
    }
    expected = {f'{key}.dataset.type': 'ImageNet100' for key in LOADERS}
    assert found == expected


PAUC_K = [[25000, 50000, 100000], [2500, 5000, 10000]]
SWAV = 'default_hooks.swav'
# What else differs, on ImageNet-1k and on ImageNet-100.
DIFFERENT = {
    'mocov2': {'model.queue_len': [65536, 1024]},
    'simclr': {},
    'swav': {
        'model.head.loss.num_prototypes': [3000, 300],
        f'{SWAV}.frozen_layers_cfg.prototypes': [5005, STEPS['in100']],
    },
    'byol': {
        'model.base_momentum': [0.01 / 16, 0.01],
        'optim_wrapper.accumulative_counts': [16, None],
        'optim_wrapper.optimizer.lr': [4.8, 4.8 / 16],
    },
    'pcl': {
        'model.num_clusters': PAUC_K,
        'model.queue_len': [16384, 1024],
        'model.proto_head.num_negatives': [16000, 1024],
    },
    'cld': {
        'model.queue_len': [65536, 1024],
        'model.num_clusters': [120, 60],
        'optim_wrapper.optimizer.lr': [0.2, 0.1],
        'auto_scale_lr.base_batch_size': [512, 256],
        'train_dataloader.batch_size': [64, 32],
    },
    'carp': {
        'model.head.num_prototypes': [65536, 6400],
        'model.head.partition_size': [512, 64],
    },
    'pauc_online_gmm': {
        'model.num_clusters': [[16384], [1600]],
        'model.queue_len': [16384, 1024],
        'model.proto_head.num_negatives': [16000, 1024],
    },
}
DIFFERENT['pclv2'] = DIFFERENT['pauc'] = DIFFERENT['pcl']
DIFFERENT['carp_decoupled'] = DIFFERENT['carp']


@pytest.mark.parametrize('method', METHODS)
def test_imagenet100_differs_in_what_is_meant_to(method):
    """PAUC, section 5.1, gives K and r of both; the rest is in proportion."""
    large, small = (
        flat(load(method, data).to_dict()) for data in ('in1k', 'in100')
    )
    different = {
        key: [large.get(key), small.get(key)]
        for key in {*large, *small}
        if large.get(key) != small.get(key)
    }
    data = {
        f'{key}.dataset.type': ['ImageNet', 'ImageNet100'] for key in LOADERS
    }
    assert different == {**DIFFERENT[method], **data}


def test_prototypes_are_in_proportion_to_the_images():
    share = IMAGES['in100'] / IMAGES['in1k']
    assert STEPS == dict(in1k=5004, in100=494)
    for method, key in (
        ('swav', 'model.head.loss.num_prototypes'),
        ('carp', 'model.head.num_prototypes'),
        ('pauc_online_gmm', 'model.num_clusters'),
        ('pauc', 'model.num_clusters'),
    ):
        many, few = (
            torch.tensor(flat(load(method, data).to_dict())[key]).sum()
            for data in ('in1k', 'in100')
        )
        assert few / many == pytest.approx(share, rel=0.02), method
