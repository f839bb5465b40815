# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""CARP's recipes say what the paper and its official code say."""

import math

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS, PARAM_SCHEDULERS
from PIL import Image

from tests.test_configs.recipes import load


@pytest.fixture(scope='module')
def cfg():
    return load('carp_r50_8xb32_in1k')


@pytest.fixture(scope='module')
def model(cfg):
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    return MODELS.build(
        {**cfg.model, 'data_preprocessor': cfg.data_preprocessor}
    )


@pytest.mark.slow
def test_sizes_of_the_paper(model):
    assert model.prototypes.vectors().shape == (65536, 256)
    assert model.head.partition_size == 512
    widths = [
        layer.weight.shape
        for layer in model.neck.mlp
        if isinstance(layer, torch.nn.Linear)
    ]
    assert widths == [(2048, 2048), (2048, 2048), (256, 2048)]
    assert model.encoder_k.first_momentum == 0.01


def test_matrices_and_kernels_alone_have_lars_and_weight_decay(cfg, model):
    init_default_scope('mmpretrain')
    groups = build_optim_wrapper(model, cfg.optim_wrapper).param_groups
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    seen = set()
    for group in groups:
        # An optimizer of mmengine has a parameter of its own besides.
        for parameter in filter(lambda p: id(p) in trained, group['params']):
            seen.add(id(parameter))
            flat = parameter.ndim == 1
            assert bool(group.get('lars_exclude')) is flat
            assert group['weight_decay'] == (0 if flat else 1e-6)
            assert group['lr'] == 0.45
    assert seen == trained


def test_the_rate_falls_by_half_a_cosine_to_0_0048(cfg):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.45)
    (scheduler,) = cfg.param_scheduler
    scheduler = {**scheduler, 'optimizer': optimizer}
    assert scheduler.pop('convert_to_iter_based')
    scheduler = PARAM_SCHEDULERS.build(scheduler)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    assert rates[50] == pytest.approx((0.45 + 0.0048) / 2)
    # In the last epoch, a hundredth of the way before the end.
    last = 0.0048 + 0.4452 * (1 + math.cos(0.99 * math.pi)) / 2
    assert rates[99] == pytest.approx(last)


def test_two_global_and_six_local_views(cfg, tmp_path):
    init_default_scope('mmpretrain')
    pixels = np.random.RandomState(0).randint(0, 256, (300, 200, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / 'x.png')
    pipeline = Compose(list(cfg.train_dataloader.dataset.pipeline))
    views = pipeline(dict(img_path=str(tmp_path / 'x.png')))['inputs']
    sides = [tuple(view.shape) for view in views]
    assert sides == [(3, 224, 224)] * 2 + [(3, 96, 96)] * 6
    assert not torch.equal(views[0], views[1])


@pytest.mark.parametrize('data', ['r50_8xb32_in1k', 'tiny_digits'])
def test_decoupled_differs_in_the_prototypes_alone(data):
    joint = load(f'carp_{data}').to_dict()
    other = load(f'carp_decoupled_{data}').to_dict()
    # The small ones keep the order with which docs/results.md was made.
    order = {} if 'tiny' in data else dict(update='before')
    assert other['model'].pop('prototypes') == dict(
        type='MixturePrototypes', init='directions', **order
    )
    assert joint == other
