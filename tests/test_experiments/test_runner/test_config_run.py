# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
from mmengine.config import Config

from experiments.runner import ConfigRun
from experiments.runner.config_run import shorten
from experiments.runner.run import run_from_json

RECIPE = 'pauc_mm::carp/carp_tiny_digits.py'


def make(options=None, config=RECIPE, name='a', setting=None, **more):
    return ConfigRun(name, setting or {}, config, options or {}, **more)


def test_a_run_survives_json():
    run = make({'a.b': [1]}, name='a-b_1.5', setting={'seed': 3}, epochs=4)
    assert run_from_json(run.to_json()).to_json() == run.to_json()


@pytest.mark.parametrize('name', ['', 'a/b', '../x', 'a b', '.hidden', '-x'])
def test_a_name_that_is_no_folder_is_refused(name):
    with pytest.raises(ValueError, match='Run.name='):
        make(name=name)


def test_options_are_merged_and_recipes_stay_as_they_are():
    options = {'randomness.seed': 5, 'model.head.num_prototypes': 128}
    cfg = make(options).load()
    assert cfg.randomness.pop('seed') == 5
    assert cfg.model.head.pop('num_prototypes') == 128
    again = make().load()
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
        digests.append(make(config=str(path)).digest())
    assert digests[0] == digests[1] != digests[2]
    plain = make().digest()
    assert len(plain) == 16 and int(plain, 16) >= 0
    assert make(name='b', setting={'x': 1}).digest() == plain
    others = [
        make({'randomness.seed': 1}),
        make({'optim_wrapper.optimizer.lr': 0.1200001}),
        make(epochs=7),
        make(measure='some.module:function'),
        make(config='pauc_mm::carp/carp_decoupled_tiny_digits.py'),
    ]
    digests = {run.digest() for run in others}
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
    prototypes = dict(warmup_steps=230, annealing_steps=440)
    cfg.model = dict(type='PAUC', prototypes=prototypes)
    shorten(cfg, 10)
    assert cfg.train_cfg.max_epochs == 10
    assert cfg.model.prototypes.warmup_steps == 23
    assert cfg.model.prototypes.annealing_steps == 44
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
    cfg = make(config='pauc_mm::swav/swav_r50_8xb32_in1k.py').load()
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
    with pytest.raises(ValueError, match='--epochs 0'):
        shorten(config(), 0)
    with pytest.raises(ValueError, match='train_cfg.max_epochs'):
        shorten(Config(dict(train_cfg=dict(max_iters=5))), 3)
    cfg = config(**{'default_hooks.clustering.warmup_epochs': 20})
    with pytest.raises(ValueError, match='--epochs 1'):
        shorten(cfg, 1)
    cfg = config()
    cfg.param_scheduler[0].by_epoch = False
    with pytest.raises(ValueError, match='by_epoch'):
        shorten(cfg, 50)


def test_a_config_that_is_not_there():
    with pytest.raises(FileNotFoundError, match='Did you mean'):
        make(config='pauc_mm::carp_tiny_digit.py').load()
