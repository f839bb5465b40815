# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Batches and schedules that leave steps out: said before the first one."""

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from pauc_mm.apis.config import (
    accumulated_batches,
    build_runner,
    set_dataloader_defaults,
)
from pauc_mm.engine.checks.schedule_checks import check_learning_rates
from pauc_mm.models.checks import check_batches
from pauc_mm.utils.shipped_files import resolve_config
from tests.helpers import loader_cfg, run_cfg

METHODS = [
    'mocov2/mocov2',
    'simclr/simclr',
    'byol/byol',
    'swav/swav',
    'carp/carp',
    'carp/carp_decoupled',
    'cld/cld',
    'pcl/pcl',
    'pauc/pauc',
    'pauc/pauc_online_gmm',
    'benchmarks/linear/',
]


def of_method(method, work_dir, **changes):
    name = method if method.endswith('/') else method + '_'
    cfg = Config.fromfile(resolve_config(f'{name}tiny_digits'))
    cfg.work_dir, cfg.launcher = str(work_dir), 'none'
    cfg.model.backbone.init_cfg = None  # of a classifier
    cfg.merge_from_dict(changes)
    set_dataloader_defaults(cfg)
    return cfg


@pytest.mark.verdict('refused')
@pytest.mark.slow
@pytest.mark.parametrize('method', METHODS)
def test_a_batch_larger_than_the_data(tmp_path, method):
    changes = {'train_dataloader.batch_size': 5000}
    changes['train_dataloader.drop_last'] = True
    runner = build_runner(of_method(method, tmp_path, **changes))
    with pytest.raises(ValueError, match='train_dataloader.batch_size=5000'):
        runner.train()
    assert runner.iter == 0 and not list(tmp_path.glob('*.pth'))


@pytest.mark.verdict('refused')
@pytest.mark.slow
@pytest.mark.parametrize(
    'method, batch, message',
    [
        # 1,437 images in training: a last batch of one, or of 7
        ('simclr/simclr', 4, 'batch of one.*drop_last=True'),
        ('byol/byol', 4, 'drop_last=True'),
        ('swav/swav', 4, 'drop_last=True'),
        ('carp/carp', 4, 'drop_last=True'),
        ('cld/cld', 130, 'model.num_clusters=.*drop_last'),
        ('mocov2/mocov2', 128, 'drop_last must be True'),
    ],
)
def test_a_last_batch_too_small(tmp_path, method, batch, message):
    cfg = of_method(method, tmp_path)
    cfg.train_dataloader.update(batch_size=batch, drop_last=False)
    with pytest.raises(ValueError, match=message):
        build_runner(cfg).train()


def build(length, epoch_length=10, **cfg):
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    cfg.setdefault('end', length)
    if cfg.get('convert_to_iter_based'):
        cfg['epoch_length'] = epoch_length
    return PARAM_SCHEDULERS.build(dict(optimizer=optimizer, **cfg))


COSINE = dict(type='CosineAnnealingLR', by_epoch=True)
STEPS = dict(type='MultiStepLR', by_epoch=True)
WARMUP = dict(type='LinearLR', start_factor=0.1, by_epoch=True, end=5)
POLY = dict(type='PolyLR', by_epoch=True)
COSINE_5 = dict(COSINE, T_max=5, end=5)
COSINE_200 = dict(COSINE, T_max=200, end=200)


@pytest.mark.parametrize(
    'epochs, schedules, verdict',
    [
        (200, [dict(COSINE, T_max=200)], 'works'),
        (200, [WARMUP, dict(COSINE, begin=5, T_max=195)], 'works'),
        (200, [WARMUP, dict(COSINE, begin=5, T_max=200)], 'works'),
        (200, [dict(STEPS, milestones=[120, 160])], 'works'),
        (4, [dict(COSINE, T_max=200, end=200)], 'noted: 200 epochs.* after 4'),
        (
            4,
            [dict(COSINE, T_max=20, end=20, convert_to_iter_based=True)],
            'noted: 200 steps.* after 40',
        ),
        (
            100,
            [dict(STEPS, milestones=[120, 160])],
            'noted: 160 epochs.* after 100',
        ),
        (
            150,
            [dict(STEPS, milestones=[120, 160])],
            'noted: 160 epochs.* after 150',
        ),
        (
            3,
            [WARMUP, dict(COSINE, begin=5, T_max=195, end=200)],
            'noted: LinearLR',
        ),
        (400, [dict(COSINE, T_max=200, end=200)], 'refused: is 0'),
        (400, [dict(COSINE, T_max=200)], 'refused: rises again'),
        (400, [dict(COSINE, T_max=200, end=200, eta_min=0.01)], 'works'),
        (400, [dict(POLY, end=200)], 'refused: is 0'),
        (400, [dict(POLY, end=400)], 'works'),
        (9, [dict(POLY, by_epoch=False, begin=5, end=90)], 'works'),
        (
            400,
            [WARMUP, dict(COSINE, T_max=200, end=200, eta_min=0.0)],
            'refused: param_scheduler.1',
        ),
        # The one that ends last rules, wherever it stands.
        (
            400,
            [dict(COSINE, T_max=200, end=200), dict(WARMUP, end=9)],
            'refused: param_scheduler.0 .* for 200 .* 400.* is 0.* to 400[.]',
        ),
        (
            400,
            [dict(COSINE, T_max=200, end=200)] * 2,
            'refused: param_scheduler.1 .* run has 400',
        ),
        (400, [COSINE_5, dict(type='StepLR', step_size=9)], 'works'),
        (400, [], 'works'),
        (400, [dict(COSINE, T_max=200, eta_min=0.01)], 'refused: rises again'),
        (400, [dict(STEPS, milestones=[120, 160])], 'works'),
        (400, [dict(type='StepLR', step_size=30, by_epoch=True)], 'works'),
        (400, [dict(type='CosineAnnealingMomentum', T_max=200)], 'works'),
        (4, [dict(type='CosineAnnealingMomentum', T_max=200)], 'works'),
        (4, [dict(type='StepLR', step_size=1, end=10**9)], 'works'),
        (
            4,
            [dict(type='CosineAnnealingMomentum', T_max=4), COSINE_200],
            'noted: param_scheduler.1 ',
        ),
    ],
)
def test_schedule_and_length(ends, epochs, schedules, verdict):
    built = [build(epochs, **schedule) for schedule in schedules]
    with ends(verdict) as said:
        check_learning_rates(built, epochs, 10 * epochs)
    assert bool(said) == ('noted' in verdict)


@pytest.mark.parametrize(
    'images, batch, drop_last, verdict',
    [
        (33, 16, False, 'refused: batch of one of the 33 images'),
        (33, 16, True, 'works'),
        (34, 16, False, 'works'),
        (17, 1, True, 'refused: batch of one of the 17 images'),
        (15, 16, True, 'refused: batch_size=16 leaves no whole batch of 15'),
        (16, 16, True, 'works'),
    ],
)
def test_the_smallest_batch(ends, images, batch, drop_last, verdict):
    loader = DataLoader(range(images), batch, drop_last=drop_last)
    with ends(verdict):
        check_batches(loader, nn.BatchNorm1d(3))


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(range(65))


@pytest.mark.verdict('works')
@pytest.mark.parametrize(
    'images, sampler',
    [(Stream(), None), (range(65), InfiniteSampler(range(65)))],
)
def test_data_without_an_end_has_no_last_batch(images, sampler):
    loader = DataLoader(images, batch_size=32, sampler=sampler)
    check_batches(loader, nn.BatchNorm1d(3))


@pytest.mark.verdict('refused')
def test_a_run_longer_than_its_schedule_is_refused(tmp_path):
    cfg = run_cfg(tmp_path, kind='PCL', max_epochs=4)
    cfg.train_cfg.max_epochs = 6
    runner = Runner.from_cfg(cfg)
    with pytest.raises(ValueError, match='4 epochs, and the run has 6'):
        runner.train()
    assert runner.iter == 0


# Options of a run of 4 epochs of 3 batches, and what the message names.
ROWS = [
    ({'train_cfg.val_interval': 0}, 'train_cfg.val_interval .*0'),
    ({'train_dataloader.batch_size': 1}, 'train_dataloader.batch_size=1'),
]


@pytest.mark.verdict('refused')
@pytest.mark.parametrize('options, message', ROWS)
def test_values_that_leave_steps_out(tmp_path, options, message):
    cfg = run_cfg(tmp_path)
    cfg.merge_from_dict(options)
    cfg.val_cfg = dict(type='EmbeddingValLoop')
    cfg.val_evaluator = dict(type='EmbeddingGeometry')
    cfg.val_dataloader = loader_cfg()
    runner = Runner.from_cfg(cfg)
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert runner.iter == 0


@pytest.mark.filterwarnings('ignore:Detected call of `scheduler')
@pytest.mark.parametrize(
    'counts, verdict',
    [(12, 'works'), (13, 'noted: accumulative_counts=13 .* 12 batches')],
)
def test_more_to_accumulate_than_there_is(ends, tmp_path, counts, verdict):
    cfg = run_cfg(tmp_path)  # of 4 epochs of 3 batches
    cfg.optim_wrapper.accumulative_counts = counts
    with ends(verdict):
        Runner.from_cfg(cfg).train()


@pytest.mark.verdict('refused')
def test_no_batches_to_accumulate():
    cfg = Config(dict(optim_wrapper=dict(accumulative_counts=0)))
    with pytest.raises(ValueError, match='accumulative_counts .*0'):
        accumulated_batches(cfg)
