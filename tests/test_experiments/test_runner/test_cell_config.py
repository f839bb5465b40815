# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
from mmengine.config import Config

from experiments.runner import (
    Cell,
    config_digest,
    load_cell_config,
    shorten,
)

RECIPE = 'pauc_mm::carp/carp_tiny_digits.py'


def test_a_cell_survives_json():
    cell = Cell('a-b_1.5', RECIPE, {'a.b': [1]}, {'seed': 3}, 4, files=('x',))
    assert Cell.from_json(cell.to_json()) == cell


@pytest.mark.parametrize('name', ['', 'a/b', '../x', 'a b', '.hidden', '-x'])
def test_a_name_that_is_no_folder_is_refused(name):
    with pytest.raises(ValueError, match='it names a folder'):
        Cell(name, RECIPE)


def test_options_are_merged_and_recipes_stay_as_they_are():
    options = {'randomness.seed': 5, 'model.head.num_prototypes': 128}
    cfg = load_cell_config(Cell('a', RECIPE, options))
    assert cfg.randomness.pop('seed') == 5
    assert cfg.model.head.pop('num_prototypes') == 128
    again = load_cell_config(Cell('a', RECIPE))
    assert again.randomness.pop('seed') == 0
    assert again.model.head.pop('num_prototypes') != 128
    assert again.to_dict() == cfg.to_dict()


def test_the_digest_changes_with_all_that_matters_only(tmp_path):
    digests = []
    for number, more in enumerate(
        [
            '',
            "work_dir = 'x'\nlog_level = 'DEBUG'\n"
            'env_cfg = dict(dist_cfg=dict(timeout=5))\n'
            'train_dataloader = dict(num_workers=7, pin_memory=True,\n'
            "    dataset=dict(data_root='/elsewhere'))\n",
            'other = 1\n',
        ]
    ):
        path = tmp_path / f'{number}.py'
        path.write_text(f"_base_ = '{RECIPE}'\n{more}")
        digests.append(config_digest(Cell('a', str(path))))
    assert digests[0] == digests[1] != digests[2]
    plain = config_digest(Cell('a', RECIPE))
    assert len(plain) == 16 and int(plain, 16) >= 0
    assert config_digest(Cell('b', RECIPE, place={'x': 1})) == plain
    others = [
        Cell('a', RECIPE, {'randomness.seed': 1}),
        Cell('a', RECIPE, {'optim_wrapper.optimizer.lr': 0.1200001}),
        Cell('a', RECIPE, epochs=7),
        Cell('a', RECIPE, measure='some.module:function'),
        Cell('a', 'pauc_mm::carp/carp_decoupled_tiny_digits.py'),
    ]
    digests = {config_digest(cell) for cell in others}
    assert len(digests) == 5 and plain not in digests


def config(**parts):
    cfg = Config(
        dict(
            train_cfg=dict(max_epochs=100),
            param_scheduler=[
                dict(type='LinearLR', begin=0, end=10),
                dict(type='CosineAnnealingLR', begin=10, end=100, T_max=90),
                dict(type='MultiStepLR', milestones=[60, 80]),
            ],
        )
    )
    cfg.merge_from_dict(parts)
    return cfg


def test_schedules_keep_their_proportions():
    cfg = config(**{'default_hooks.clustering.warmup_epochs': 20})
    cfg.model = dict(type='PAUC', prototypes=dict(warmup_steps=230))
    shorten(cfg, 10)
    assert cfg.train_cfg.max_epochs == 10
    assert cfg.model.prototypes.warmup_steps == 23
    linear, cosine, steps = cfg.param_scheduler
    assert (linear.begin, linear.end) == (0, 1)
    assert (cosine.begin, cosine.end, cosine.T_max) == (1, 10, 9)
    assert steps.milestones == [6, 8]
    assert cfg.default_hooks.clustering.warmup_epochs == 2
    shorten(cfg, 100)
    assert cfg.param_scheduler[1].T_max == 90
    cfg.model.prototypes = dict(warmup_epochs=20)
    shorten(cfg, 10)
    assert cfg.model.prototypes.warmup_epochs == 2
    shorten(cfg, 100)
    # At least one epoch of each, whatever the length
    shorten(cfg, 2)
    assert cfg.param_scheduler[0].end == 1
    assert cfg.default_hooks.clustering.warmup_epochs == 1


def test_the_queue_of_swav_starts_in_proportion():
    cfg = load_cell_config(Cell('a', 'pauc_mm::swav/swav_r50_8xb32_in1k.py'))
    swav = cfg.default_hooks.swav
    length = swav.queue_length
    assert cfg.train_cfg.max_epochs == 200
    shorten(cfg, 40)
    assert swav.epoch_queue_starts == 3  # of 15
    assert swav.frozen_layers_cfg.prototypes == 1001  # of 5005
    assert swav.queue_length == length
    shorten(cfg, 1)
    assert swav.epoch_queue_starts == 1


def test_what_cannot_be_shortened():
    with pytest.raises(ValueError, match='--epochs 0: it must be at least 1'):
        shorten(config(), 0)
    with pytest.raises(ValueError, match='train_cfg.max_epochs, which is No'):
        shorten(Config(dict(train_cfg=dict(max_iters=5))), 3)
    cfg = config(**{'default_hooks.clustering.warmup_epochs': 20})
    with pytest.raises(ValueError, match='--epochs 1 leaves no epoch after'):
        shorten(cfg, 1)
    cfg = config()
    cfg.param_scheduler[0].by_epoch = False
    with pytest.raises(ValueError, match='counts iterations'):
        shorten(cfg, 50)


def test_a_config_that_is_not_there():
    with pytest.raises(FileNotFoundError, match='Did you mean'):
        load_cell_config(Cell('a', 'pauc_mm::carp_tiny_digit.py'))
