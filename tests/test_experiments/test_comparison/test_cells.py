# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the suites declare is what is trained."""

import pytest

from experiments.comparison import (
    SUITES,
    comparison_cells,
    find_suite,
    tuning_cells,
)
from experiments.runner import config_digest, load_cell_config

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
    cells = comparison_cells(SMALL, list(SMALL.data), list(TYPES), [0])
    return [(cell, load_cell_config(cell)) for cell in cells]


def test_all_methods_have_equal_means(small):
    assert set(SMALL.methods) == set(TYPES) and len(small) == 22
    for data in SMALL.data:
        own = [cfg for cell, cfg in small if cell.place['data'] == data]
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
    for cell, cfg in small:
        place = cell.place
        assert cfg.model.type == TYPES[place['method']]
        assert cfg.randomness.seed == place['seed'] == 0
        assert cfg.optim_wrapper.optimizer.lr == place['rate']
        mixtures = ('carp_decoupled', 'pauc_online_gmm')
        assert ('prototypes' in cfg.model) == (place['method'] in mixtures)
        expected = f'{place["data"]}_{place["method"]}_lr{place["rate"]:g}'
        assert cell.name == f'{expected}_seed0'


def test_each_is_tuned_over_four_rates_three_times_apart(small):
    assert all(len(m.rates) == 4 for m in SMALL.methods.values())
    for method in SMALL.methods.values():
        for low, high in zip(method.rates, method.rates[1:]):
            assert high / low == pytest.approx(3, rel=0.02)
    for cell, _ in small:
        rates = SMALL.methods[cell.place['method']].rates
        assert cell.place['rate'] in rates


def test_the_rate_of_a_recipe_is_run_once(small):
    tuning = tuning_cells(SMALL, ['digits'], ['pauc'])
    rates = [cell.place['rate'] for cell in tuning]
    assert rates == [0.0133, 0.04, 0.12, 0.36]
    own = next(c for c, _ in small if c.name.startswith('digits_pauc_lr'))
    (same,) = [cell for cell in tuning if cell.name == own.name]
    assert same == own
    assert len({config_digest(cell) for cell in tuning}) == 4
    for cell in tuning:
        lr = load_cell_config(cell).optim_wrapper.optimizer.lr
        assert lr == cell.place['rate']


@pytest.mark.parametrize('data', ['in100', 'in1k'])
def test_a_step_has_as_many_images_on_other_numbers_of_gpus(data):
    suite = SUITES[data]
    for gpus in (8, 4, 1):
        cells = comparison_cells(suite, [data], list(TYPES), [0], gpus=gpus)
        for cell in cells:
            cfg = load_cell_config(cell)
            assert cfg.model.type == TYPES[cell.place['method']]
            wide = cell.place['method'] == 'cld' and data == 'in1k'
            batch = cfg.train_dataloader.batch_size * gpus
            assert batch == (512 if wide else 256)
            assert ('gpu' in cell.name) == (gpus != 8)
            assert cfg.env_cfg.dist_cfg.timeout == 14400
            assert 'ImageNet' in cfg.train_dataloader.dataset.type


def test_what_cannot_be_asked_for():
    with pytest.raises(ValueError, match="--suite: 'tiny' is unknown: choose"):
        find_suite('tiny')
    with pytest.raises(ValueError, match="--methods: 'dino' is unknown"):
        comparison_cells(SMALL, ['digits'], ['dino'], [0])
    with pytest.raises(ValueError, match="--data: 'cifar' is unknown"):
        comparison_cells(SMALL, ['cifar'], ['pauc'], [0])
    with pytest.raises(ValueError, match='--tune: .* leave it out'):
        tuning_cells(SUITES['ablations'], ['digits'], ['all'])
