# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The recipes of linear and semi-supervised evaluation, and their values."""

import copy
import functools
from pathlib import Path

import mmpretrain
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.visualization import Visualizer
from mmpretrain.registry import HOOKS, METRICS, MODELS, PARAM_SCHEDULERS
from torch import nn

import pauc_mm  # noqa: F401

ROOT = Path(__file__).parents[3] / 'configs/benchmarks'
MOCO = [
    f'linear/resnet50_8xb32-linear-moco-100e_{data}.py'
    for data in ('in1k', 'in100')
]
PCL = [name.replace('moco', 'pcl') for name in MOCO]
PLACES = 'linear/resnet50_8xb32-linear-pcl-40e_places205.py'
VOC = 'linear/resnet50_8xb32-linear-100e_voc07.py'
LINEAR = [*MOCO, *PCL, PLACES, VOC]
SEMI = {
    f'semi/resnet50_8xb32-semi-pcl-20e_in1k-{share}percent.py': rate
    for share, rate in ((1, 1.0), (10, 0.1))
}
TINY = ['linear/tiny_digits.py', 'semi/tiny_digits_10percent.py']
RECIPES = [*LINEAR, *SEMI, *TINY]
LARGE = [*LINEAR, *SEMI]
THEIRS = (
    Path(mmpretrain.__file__).parent
    / '.mim/configs/mocov2/benchmarks'
    / 'resnet50_8xb32-linear-steplr-100e_in1k.py'
)


@pytest.fixture(autouse=True)
def scope_and_environment(monkeypatch):
    init_default_scope('mmpretrain')
    for name in ('IMAGENET_ROOT', 'PLACES_ROOT', 'VOC_ROOT'):
        monkeypatch.delenv(name, raising=False)


@functools.cache
def load(name):
    return Config.fromfile(ROOT / name)


@functools.cache
def build(name):
    cfg = copy.deepcopy(load(name))  # building fills in defaults
    return MODELS.build(
        {**cfg.model, 'data_preprocessor': cfg.data_preprocessor}
    )


def plain(value):
    """Without the scopes that mmengine writes into inherited parts."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k != '_scope_'}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def rates_of(name, epochs):
    """Learning rates of the backbone and of the classifier by epoch."""
    cfg = load(name)
    model = nn.ModuleDict(dict(backbone=nn.Linear(1, 1), head=nn.Linear(1, 1)))
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    (scheduler,) = [
        PARAM_SCHEDULERS.build({**s, 'optimizer': wrapper.optimizer})
        for s in cfg.param_scheduler
    ]
    rates = []
    for _ in range(epochs):
        groups = wrapper.optimizer.param_groups
        rates.append((groups[0]['lr'], groups[-1]['lr']))
        wrapper.optimizer.step()
        scheduler.step()
    return list(zip(*rates))


@pytest.mark.slow
def test_these_are_all():
    found = {
        str(path.relative_to(ROOT))
        for part in ('linear', 'semi')
        for path in (ROOT / part).glob('*.py')
    }
    assert found == set(RECIPES)


@pytest.mark.slow
@pytest.mark.parametrize('name', RECIPES)
def test_everything_builds(name):
    cfg, model = load(name), build(name)
    assert cfg.default_scope == 'mmpretrain'
    assert cfg.custom_imports == dict(
        imports=['pauc_mm'], allow_failed_imports=False
    )
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    for scheduler in cfg.param_scheduler:
        PARAM_SCHEDULERS.build({**scheduler, 'optimizer': wrapper.optimizer})
    Visualizer.get_instance('test_classification')
    hooks = {k: HOOKS.build(v) for k, v in cfg.default_hooks.items()}
    assert {'backbone_check', 'checkpoint_guard', 'epoch_seed'} <= set(hooks)
    assert hooks['backbone_check'].min_matched == 0.9
    assert cfg.val_evaluator == cfg.test_evaluator
    evaluators = cfg.val_evaluator
    for e in [evaluators] if isinstance(evaluators, dict) else evaluators:
        METRICS.build(e)
    assert cfg.val_dataloader == cfg.test_dataloader
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        assert loader.collate_fn.type == 'default_collate'
        assert not loader.get('persistent_workers', False)
    assert not cfg.train_dataloader.get('drop_last', False)
    assert cfg.train_dataloader.sampler.shuffle
    assert not cfg.val_dataloader.sampler.shuffle


@pytest.mark.slow
@pytest.mark.parametrize('name', RECIPES)
def test_pretrained_weights_are_asked_for(name):
    assert build(name).backbone.init_cfg == dict(
        type='Pretrained', checkpoint='', prefix='backbone.'
    )


@pytest.mark.slow
@pytest.mark.parametrize('name', RECIPES)
def test_classifier_fits(name):
    cfg, model = load(name), build(name)
    assert model.head.num_classes == cfg.data_preprocessor.num_classes
    side = 16 if name in TINY else 224
    model.eval()
    with torch.no_grad():
        scores = model(torch.zeros(1, 3, side, side))
    assert scores.shape == (1, model.head.num_classes)


@pytest.mark.slow
@pytest.mark.parametrize('name', LARGE)
def test_batch_is_256(name):
    cfg = load(name)
    assert cfg.train_dataloader.batch_size * 8 == 256
    assert cfg.auto_scale_lr.base_batch_size == 256
    assert cfg.model.backbone.depth == 50


# ---- linear -----------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize('name', [*LINEAR, TINY[0]])
def test_nothing_but_the_classifier_can_change(name):
    model = build(name)
    model.train()
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trained == {'head.fc.weight', 'head.fc.bias'}
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == (3 if name in TINY else 53)
    assert not any(m.training for m in norms)


@pytest.mark.slow
@pytest.mark.parametrize('name', [*LINEAR, TINY[0]])
def test_no_weight_decay_and_momentum(name):
    optimizer = load(name).optim_wrapper.optimizer
    assert optimizer.type == 'SGD' and optimizer.momentum == 0.9
    assert optimizer.weight_decay == 0


@pytest.mark.slow
@pytest.mark.parametrize('name', [*MOCO, *PCL])
def test_schedule_of_moco_and_pcl(name):
    """MoCo's main_lincls.py; PCL, appendix E, eval_cls_imagenet.py."""
    first = 30.0 if name in MOCO else 10.0
    assert load(name).train_cfg.max_epochs == 100
    expected = [first] * 60 + [first / 10] * 20 + [first / 100] * 20
    assert rates_of(name, 100)[1] == pytest.approx(expected)


@pytest.mark.slow
def test_moco_is_mmpretrains_but_for_the_statistics():
    ours, theirs = (
        plain(cfg.to_dict())
        for cfg in (load(MOCO[0]), Config.fromfile(THEIRS))
    )
    assert ours['model']['backbone'].pop('norm_eval') is True
    assert ours['model'] == theirs['model']
    for key in ('optim_wrapper', 'param_scheduler', 'data_preprocessor'):
        assert ours[key] == theirs[key]
    for part in ('train', 'val'):
        own, other = (c[f'{part}_dataloader'] for c in (ours, theirs))
        assert own['dataset'] == other['dataset']
        assert own['batch_size'] == other['batch_size']
    assert ours['val_evaluator'] == theirs['val_evaluator']


@pytest.mark.slow
@pytest.mark.parametrize('name', [MOCO[1], PCL[1]])
def test_imagenet_100(name):
    cfg = load(name)
    assert cfg.model.head.num_classes == 100
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        assert loader.dataset.type == 'ImageNet100'


@pytest.mark.slow
def test_places205():
    """PCL, appendix E: lr 0.3, 40 epochs, about 9,000 numbers of conv5."""
    cfg, model = load(PLACES), build(PLACES)
    assert cfg.train_cfg.max_epochs == 40
    expected = [0.3] * 24 + [0.03] * 8 + [0.003] * 8
    assert rates_of(PLACES, 40)[1] == pytest.approx(expected)
    assert model.head.fc.weight.shape == (205, 2048 * 2 * 2)
    for part in ('train', 'val'):
        dataset = cfg[f'{part}_dataloader'].dataset
        assert dataset.type == 'Places205'
        assert dataset.ann_file == (
            f'trainvalsplit_places205/{part}_places205.csv'
        )
        reference = load(MOCO[0])[f'{part}_dataloader'].dataset
        assert plain(dataset.pipeline) == plain(reference.pipeline)


@pytest.mark.slow
def test_voc07():
    cfg, model = load(VOC), build(VOC)
    assert model.head.fc.weight.shape == (20, 2048)
    assert model.head.loss_module.use_sigmoid
    assert cfg.data_preprocessor.to_onehot
    assert cfg.train_dataloader.dataset.split == 'trainval'
    assert cfg.val_dataloader.dataset.split == 'test'
    assert 'VOCAveragePrecision' in [e.type for e in cfg.val_evaluator]
    pipeline = load(MOCO[0]).train_dataloader.dataset.pipeline
    own = cfg.train_dataloader.dataset.pipeline
    assert plain(own) == plain(pipeline)
    packed = cfg.val_dataloader.dataset.pipeline[-1]
    assert 'gt_label_difficult' in packed.meta_keys


# ---- semi-supervised --------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize('name', SEMI)
def test_values_of_pcl(name):
    """PCL, appendix E."""
    cfg = load(name)
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005
    )
    assert cfg.train_cfg.max_epochs == 20
    steps = [1.0] * 12 + [0.2] * 4 + [0.04] * 4
    body, head = rates_of(name, 20)
    assert body == pytest.approx([0.01 * s for s in steps])
    assert head == pytest.approx([SEMI[name] * s for s in steps])
    share = name.rpartition('-')[2].replace('.py', '')
    dataset = cfg.train_dataloader.dataset
    assert dataset.ann_file == f'meta/semi_{share}.txt'
    assert dataset.split == 'train'
    assert 'ann_file' not in cfg.val_dataloader.dataset


@pytest.mark.slow
@pytest.mark.parametrize('name', [*SEMI, TINY[1]])
def test_two_learning_rates_reach_all_parameters(name):
    cfg, model = load(name), build(name)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    rates = {}
    for group in wrapper.optimizer.param_groups:
        assert group['weight_decay'] == 0.0005
        rates.update({id(p): group['lr'] for p in group['params']})
    for key, parameter in model.named_parameters():
        assert parameter.requires_grad
        expected = SEMI.get(name, 0.1) if key.startswith('head') else 0.01
        assert rates.pop(id(parameter)) == pytest.approx(expected), key
    assert not rates
    model.train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(m.training for m in norms)


@pytest.mark.slow
def test_roots_come_from_the_environment(monkeypatch):
    for name in ('IMAGENET', 'PLACES', 'VOC'):
        monkeypatch.setenv(f'{name}_ROOT', f'/data/{name}')
    for name in LARGE:
        cfg = Config.fromfile(ROOT / name)
        root = '/data/IMAGENET'
        root = '/data/PLACES' if name == PLACES else root
        root = '/data/VOC/VOC2007' if name == VOC else root
        for part in ('train', 'val', 'test'):
            assert cfg[f'{part}_dataloader'].dataset.data_root == root
