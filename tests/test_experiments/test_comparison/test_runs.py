# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Runs train what the suites declare."""

import pytest

from experiments.comparison import (
    SUITES,
    comparison_runs,
    find_suite,
    tuning_runs,
)

SMALL = SUITES['small']
TYPES = dict(
    mocov2='MoCo',
    simclr='SimCLR',
    swav='SwAV',
    byol='BYOL',
    pcl='PCL',
    pclv2='PCL',
    pauc='PAUC',
    pauc_online_gmm='PAUC',
    cld='CLD',
    carp='CARP',
    carp_decoupled='CARP',
)


@pytest.fixture(scope='module')
def small():
    runs = comparison_runs(SMALL, list(SMALL.data), list(TYPES), [0])
    return [(run, run.load()) for run in runs]


def test_all_methods_have_equal_means(small):
    assert set(SMALL.methods) == set(TYPES) and len(small) == 22
    for data in SMALL.data:
        own = [cfg for run, cfg in small if run.setting['data'] == data]
        for key in (
            lambda cfg: cfg.train_cfg.max_epochs,
            lambda cfg: cfg.train_dataloader.batch_size,
            lambda cfg: str(cfg.model.backbone),
            lambda cfg: str(cfg.view_pipeline),
            lambda cfg: str(cfg.train_dataloader.dataset.type),
            lambda cfg: str(cfg.param_scheduler),
            lambda cfg: str(dict(cfg.optim_wrapper.optimizer, lr=0)),
        ):
            assert len({key(cfg) for cfg in own}) == 1


def test_a_cell_is_what_it_is_called(small):
    for run, cfg in small:
        setting = run.setting
        assert cfg.model.type == TYPES[setting['method']]
        assert cfg.randomness.seed == setting['seed'] == 0
        assert cfg.optim_wrapper.optimizer.lr == setting['rate']
        mixed = ('carp_decoupled', 'pauc_online_gmm')
        assert ('prototypes' in cfg.model) == (setting['method'] in mixed)
        expected = (
            f'{setting["data"]}_{setting["method"]}_lr{setting["rate"]:g}'
        )
        assert run.name == f'{expected}_seed0'


def test_each_is_tuned_over_four_rates_three_times_apart(small):
    assert all(len(m.rates) == 4 for m in SMALL.methods.values())
    for method in SMALL.methods.values():
        for low, high in zip(method.rates, method.rates[1:]):
            assert high / low == pytest.approx(3, rel=0.02)
    for run, _ in small:
        rates = SMALL.methods[run.setting['method']].rates
        assert run.setting['rate'] in rates


def test_the_rate_of_a_recipe_is_run_once(small):
    tuning = tuning_runs(SMALL, ['digits'], ['pauc'])
    rates = [run.setting['rate'] for run in tuning]
    assert rates == [0.0133, 0.04, 0.12, 0.36]
    own = next(c for c, _ in small if c.name.startswith('digits_pauc_lr'))
    (same,) = [run for run in tuning if run.name == own.name]
    assert same == own
    assert len({run.digest() for run in tuning}) == 4
    for run in tuning:
        lr = run.load().optim_wrapper.optimizer.lr
        assert lr == run.setting['rate']


@pytest.mark.slow
@pytest.mark.parametrize('data', ['in100', 'in1k'])
def test_a_step_has_as_many_images_on_other_numbers_of_gpus(data):
    suite = SUITES[data]
    for gpus in (8, 4, 1):
        runs = comparison_runs(suite, [data], list(TYPES), [0], gpus=gpus)
        for run in runs:
            cfg = run.load()
            assert cfg.model.type == TYPES[run.setting['method']]
            wide = run.setting['method'] == 'cld' and data == 'in1k'
            batch = cfg.train_dataloader.batch_size * gpus
            assert batch == (512 if wide else 256)
            assert ('gpu' in run.name) == (gpus != 8)
            assert cfg.env_cfg.dist_cfg.timeout == 14400
            assert 'ImageNet' in cfg.train_dataloader.dataset.type


def test_what_cannot_be_asked_for():
    with pytest.raises(ValueError, match="--suite.*'tiny'"):
        find_suite('tiny')
    with pytest.raises(ValueError, match="--methods.*'dino'"):
        comparison_runs(SMALL, ['digits'], ['dino'], [0])
    with pytest.raises(ValueError, match="--data.*'cifar'"):
        comparison_runs(SMALL, ['cifar'], ['pauc'], [0])
    with pytest.raises(ValueError, match='--tune'):
        tuning_runs(SUITES['ablations'], ['digits'], ['all'])
