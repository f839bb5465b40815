# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The recipes of configs/benchmarks/detection, and the papers' values."""

import functools
from pathlib import Path

import pytest

pytest.importorskip('mmdet')

from mmdet.registry import HOOKS, METRICS, MODELS, PARAM_SCHEDULERS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from torch import nn

import pauc_mm.detection  # noqa: F401

ROOT = Path(__file__).parents[2] / 'configs/benchmarks/detection'
FROZEN = [
    f'faster-rcnn_r50_fpn_frozen_4xb2-15e_{data}.py'
    for data in ('voc07', 'voc0712')
]
VOC_C4 = 'faster-rcnn_r50-c4_8xb2-24k_voc0712.py'
COCO = [
    f'mask-rcnn_{body}_8xb2-{length}_coco.py'
    for body in ('r50-c4', 'r50_fpn')
    for length in ('1x', '2x')
]
MOCO = [VOC_C4, *COCO]
RECIPES = [*FROZEN, *MOCO]
# These have tests of their own: test_digit_scene_detectors.py, test_in_models.
SMALL = [
    'faster-rcnn_tiny_digits.py',
    'mask-rcnn_tiny_digits.py',
    'faster-rcnn_tiny-vit_digits.py',
]


@pytest.fixture(autouse=True)
def scope_and_environment(monkeypatch):
    for name in ('VOC_ROOT', 'COCO_ROOT'):
        monkeypatch.delenv(name, raising=False)
    # Only here: later tests build without a scope.
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


@functools.cache
def load(name):
    return Config.fromfile(ROOT / name)


@functools.cache
def build(name):
    return MODELS.build(load(name).model)


@pytest.mark.slow
def test_these_are_all():
    assert {path.name for path in ROOT.glob('*.py')} == {*RECIPES, *SMALL}


@pytest.mark.slow
@pytest.mark.parametrize('name', RECIPES)
def test_everything_builds(name):
    cfg, model = load(name), build(name)
    assert cfg.custom_imports['allow_failed_imports'] is False
    assert 'pauc_mm.detection' in cfg.custom_imports['imports']
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    for scheduler in cfg.param_scheduler:
        kwargs = dict(optimizer=wrapper.optimizer)
        if scheduler.get('by_epoch'):
            kwargs['epoch_length'] = 10
        PARAM_SCHEDULERS.build({**scheduler, **kwargs})
    Visualizer.get_instance('test_detection')  # of the visualization hook
    hooks = {k: HOOKS.build(v) for k, v in cfg.default_hooks.items() if v}
    assert {'backbone_check', 'checkpoint_guard'} <= set(hooks)
    if 'voc' in name:
        METRICS.build(cfg.val_evaluator)
    for part in ('train', 'val', 'test'):
        loader = cfg[f'{part}_dataloader']
        assert loader.collate_fn.type == 'pseudo_collate'


@pytest.mark.slow
@pytest.mark.parametrize('name', RECIPES)
def test_pretrained_weights_are_asked_for(name):
    # mmdet's own would be fetched without a word.
    parts = [build(name).backbone]
    if 'c4' in name:
        parts.append(build(name).roi_head.shared_head)
    for part in parts:
        assert part.init_cfg == dict(
            type='Pretrained', checkpoint='', prefix='backbone.'
        )


@pytest.mark.slow
@pytest.mark.parametrize('name', FROZEN)
def test_values_of_pcl(name):
    """PCL (ICLR 2021), appendix E."""
    cfg, model = load(name), build(name)
    assert type(model).__name__ == 'FasterRCNN'
    assert cfg.model.backbone.depth == 50 and cfg.model.neck.type == 'FPN'
    assert not any(p.requires_grad for p in model.backbone.parameters())
    assert all(p.requires_grad for p in model.neck.parameters())
    model.train()
    norms = [m for m in model.backbone.modules() if is_norm(m)]
    assert len(norms) == 53 and not any(m.training for m in norms)
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.05, momentum=0.9, weight_decay=0.0001
    )
    assert cfg.train_dataloader.batch_size * 4 == 8
    assert cfg.auto_scale_lr.base_batch_size == 8
    assert cfg.train_cfg.max_epochs == 15
    assert cfg.param_scheduler[1].milestones == [12]
    assert cfg.param_scheduler[1].gamma == 0.1
    assert cfg.val_evaluator.eval_mode == '11points'
    assert 'VOC2007/ImageSets/Main/test.txt' in str(cfg.val_dataloader)


def is_norm(module):
    return isinstance(module, nn.modules.batchnorm._BatchNorm)


@pytest.mark.slow
@pytest.mark.parametrize('name', MOCO)
def test_values_of_moco(name):
    """MoCo (CVPR 2020), section 4.2, and its detection/configs."""
    cfg, model = load(name), build(name)
    assert all(p.requires_grad for p in model.parameters())
    model.train()
    norms = [m for m in model.modules() if is_norm(m)]
    assert all(m.training for m in norms)
    assert all(isinstance(m, nn.SyncBatchNorm) for m in norms)
    if 'c4' in name:  # 53 of ResNet-50, and the one after the fifth stage
        assert len(norms) == 54
        assert model.roi_head.shared_head.norm.num_features == 2048
        assert type(model.roi_head.shared_head).__name__ == 'ResLayerExtraNorm'
    else:  # four lateral ones and four of the outputs
        assert len(norms) == 53 + 8
        assert len([m for m in model.neck.modules() if is_norm(m)]) == 8
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.momentum) == (0.02, 0.9)
    assert optimizer.weight_decay == 0.0001
    assert cfg.train_dataloader.batch_size * 8 == 16
    assert cfg.auto_scale_lr.base_batch_size == 16
    preprocessor = cfg.model.data_preprocessor
    assert preprocessor.bgr_to_rgb
    assert preprocessor.mean == [123.675, 116.28, 103.53]
    assert preprocessor.std == [58.395, 57.12, 57.375]


@pytest.mark.slow
def test_strides_are_those_of_the_pretrained_bottlenecks():
    # style='caffe' has them in the 1x1 convolution, with the same names.
    for name in MOCO:
        model = build(name)
        stages = [model.backbone.layer2, model.backbone.layer3]
        if 'c4' in name:
            stages.append(model.roi_head.shared_head.layer4)
        for stage in stages:
            assert stage[0].conv1.stride == (1, 1)
            assert stage[0].conv2.stride == (2, 2)


def sides(loader):
    for transform in loader.dataset.pipeline:
        if transform.type == 'RandomChoiceResize':
            return [scale[1] for scale in transform.scales]
        if transform.type == 'Resize':
            return [transform.scale[1]]
    raise AssertionError('no resizing')


@pytest.mark.slow
def test_schedule_and_scales_of_voc():
    cfg = load(VOC_C4)
    assert cfg.train_cfg.max_iters == 24000
    assert cfg.param_scheduler[1].milestones == [18000, 22000]
    assert cfg.param_scheduler[0].end == 100
    for dataset in cfg.train_dataloader.dataset.datasets:
        scales = sides(dict_with(dataset))
        assert scales == [*range(480, 801, 32)] and len(scales) == 11
    assert sides(cfg.val_dataloader) == sides(cfg.test_dataloader) == [800]
    assert cfg.val_evaluator.iou_thrs == pytest.approx(
        [0.5 + 0.05 * i for i in range(10)]
    )


def dict_with(dataset):
    return Config(dict(dataset=dataset))


@pytest.mark.slow
@pytest.mark.parametrize('name', COCO)
def test_schedule_and_scales_of_coco(name):
    cfg = load(name)
    epochs = 12 if '1x' in name else 24
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[1].end == epochs
    expected = [8, 11] if '1x' in name else [16, 22]
    assert cfg.param_scheduler[1].milestones == expected
    assert sides(cfg.train_dataloader) == [640, 672, 704, 736, 768, 800]
    assert sides(cfg.val_dataloader) == [800]
    assert 'precise_bn' in cfg.default_hooks


@pytest.mark.slow
def test_roots_come_from_the_environment(monkeypatch):
    monkeypatch.setenv('VOC_ROOT', '/data/voc')
    monkeypatch.setenv('COCO_ROOT', '/data/coco2017')
    for name in (*FROZEN, VOC_C4, COCO[0]):
        cfg = Config.fromfile(ROOT / name)
        root = '/data/voc' if 'voc' in name else '/data/coco2017'
        for part in ('train', 'val', 'test'):
            text = str(cfg[f'{part}_dataloader'].dataset)
            count = 2 if part == 'train' and '0712' in name else 1
            assert text.count(f"'data_root': '{root}'") == count
        if 'coco' in name:
            assert cfg.val_evaluator.ann_file.startswith(f'{root}/')
            assert cfg.test_evaluator.ann_file.startswith(f'{root}/')
