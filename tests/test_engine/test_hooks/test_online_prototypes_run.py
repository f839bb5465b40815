# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Whole runs whose prototypes are online mixtures, without an E-step."""

import logging

import pytest
import torch
from mmengine.runner import Runner

from pauc_mm.clustering import FaissKMeans
from tests.helpers import (
    TWO_VIEWS,
    assert_same,
    loader_cfg,
    run_cfg,
    run_ranks,
)

EPOCHS = 4
# Of 48 images in batches of 16: three steps an epoch.
MIXTURE = dict(eta=0.9, init_samples=24, min_variance=0.01)


def online_cfg(folder, kind='PAUC', mixture=MIXTURE, **changes):
    cfg = run_cfg(folder, kind=kind, max_epochs=EPOCHS)
    del cfg.default_hooks['clustering']
    cfg.model.prototypes = dict(type='MixturePrototypes', **mixture)
    cfg.merge_from_dict(changes)
    return cfg


def listen(runner):
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    runner.logger.addHandler(handler)
    return lines


def checkpoint(folder, epoch=EPOCHS):
    return torch.load(folder / f'epoch_{epoch}.pth', weights_only=True)


@pytest.mark.parametrize('kind', ['PCL', 'PAUC'])
def test_a_run_makes_no_e_step(tmp_path, monkeypatch, kind):
    def fit(*args, **kwargs):
        raise AssertionError('k-means was asked for')

    monkeypatch.setattr(FaissKMeans, 'fit', fit)
    cfg = online_cfg(tmp_path, kind)
    cfg.log_level = 'INFO'
    cfg.default_hooks.collapse_monitor = dict(
        type='CollapseMonitorHook',
        interval=2,
        pipeline=[dict(type='PackInputs')],
    )
    runner = Runner.from_cfg(cfg)
    lines = listen(runner)
    runner.train()
    model = runner.model
    assert model.prototypes.ready and model.prototypes.steps == 12
    # Two steps to begin, all others are learned from.
    assert [m.steps.item() for m in model.prototypes.mixtures] == [10, 10]
    history = runner.message_hub.get_scalar('train/loss_protonce').data[0]
    assert len(history) == 10
    saved = checkpoint(tmp_path)
    assert 'clustering' not in saved
    assert 'prototypes.mixtures.1.means' in saved['state_dict']
    begins = [line for line in lines if 'begin after 2 steps' in line]
    assert len(begins) == 1 and 'init_samples=24' in begins[0]
    told = [line for line in lines if line.startswith('Mixture K=')]
    assert len(told) == 2 * EPOCHS  # two sets
    assert not [line for line in lines if 'without a ClusteringHook' in line]


@pytest.mark.slow
@pytest.mark.parametrize(
    'changes, seed',
    [
        ({}, 7),
        ({}, None),
        # Begins in the third epoch: only the count of steps is carried over.
        (dict(warmup_steps=7), 7),
        (dict(warmup_epochs=7 / 3), 7),  # three steps an epoch
    ],
)
def test_resumed_equals_uninterrupted(tmp_path, changes, seed):
    mixture = {**MIXTURE, **changes}
    changes = {
        'randomness.seed': seed,
        'model.num_clusters': [4, 20],  # so that the draw matters
        'model.proto_head.num_negatives': 2,
    }
    Runner.from_cfg(online_cfg(tmp_path, mixture=mixture, **changes)).train()
    whole = checkpoint(tmp_path)
    for epoch in (3, 4):
        (tmp_path / f'epoch_{epoch}.pth').unlink()
    cfg = online_cfg(tmp_path, mixture=mixture, **changes)
    cfg.resume = True
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.model.prototypes.ready
    resumed = checkpoint(tmp_path)
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(whole[part], resumed[part], part)


@pytest.mark.parametrize('batch_size, begins', [(8, 12), (16, 6), (24, 4)])
def test_epochs_of_warm_up_do_not_depend_on_the_batch(
    tmp_path, batch_size, begins
):
    changes = {'train_dataloader.batch_size': batch_size}
    mixture = dict(MIXTURE, warmup_epochs=2)
    runner = Runner.from_cfg(online_cfg(tmp_path, mixture=mixture, **changes))
    runner.train()
    assert runner.model.prototypes.warmup_steps == begins
    assert runner.model.prototypes.ready


def training(folder):
    from pauc_mm.engine.launch import prepare_launch

    cfg = online_cfg(folder)
    cfg.launcher = 'pytorch'
    cfg.train_dataloader.batch_size = 8
    prepare_launch(cfg)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return {k: v.clone() for k, v in runner.model.module.state_dict().items()}


@pytest.mark.slow
def test_three_processes_stay_in_step(tmp_path):
    # SyncBuffersHook averages the buffers after each epoch: of three equal
    # numbers that is not always the number, but the same everywhere.
    states = run_ranks(training, 3, tmp_path / 'r', tmp_path / 'run')
    for name, value in states[0].items():
        if 'running_' in name:  # BatchNorm statistics are each rank's own
            continue
        for other in states[1:]:
            assert torch.equal(value, other[name]), name
    assert states[0]['prototypes.steps'] == 2 * EPOCHS
    assert states[0]['prototypes.mixtures.0.counts'].tolist() == [7, 1]


# ---- wrong input -----------------------------------------------------------
def test_a_clustering_hook_is_refused(tmp_path):
    cfg = run_cfg(tmp_path)
    cfg.model.prototypes = dict(type='MixturePrototypes', **MIXTURE)
    runner = Runner.from_cfg(cfg)
    with pytest.raises(TypeError) as caught:
        runner.train()
    for key in ('model.prototypes', 'default_hooks.clustering'):
        assert key in str(caught.value)
    assert runner.iter == 0


def test_a_clustering_hook_is_refused_when_resuming(tmp_path):
    Runner.from_cfg(online_cfg(tmp_path)).train()
    cfg = run_cfg(tmp_path)
    cfg.model.prototypes = dict(type='MixturePrototypes', **MIXTURE)
    cfg.resume = True
    with pytest.raises(TypeError, match='clustering .*MixturePrototypes'):
        Runner.from_cfg(cfg).train()


def test_another_kind_of_prototypes_is_not_resumed(tmp_path):
    cfg = run_cfg(tmp_path, max_epochs=2)
    Runner.from_cfg(cfg).train()
    cfg = online_cfg(tmp_path)
    cfg.resume = True
    with pytest.raises(ValueError, match='model.prototypes.type'):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            {'model.prototypes.init_samples': 192},
            r'begin after 12 steps .*init_samples=192\), but the training '
            'has 12',
        ),
        (
            {'model.prototypes.warmup_steps': 11},
            r'begin after 13 steps or 4.33 epochs .*warmup_steps=11',
        ),
        ({'model.num_clusters': [4, 49]}, 'model.num_clusters=.*49'),
        ({'model.queue_len': 8}, 'model.queue_len=8 is smaller'),
        ({'train_dataloader.batch_size': 64}, 'no whole batch of 48'),
    ],
)
def test_misfits_are_refused_before_training(tmp_path, changes, message):
    if 'model.num_clusters' in changes:
        changes = {**changes, 'model.prototypes.init_samples': 49}
    runner = Runner.from_cfg(online_cfg(tmp_path, **changes))
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert runner.iter == 0


@pytest.mark.slow
def test_a_long_collection_is_said(tmp_path):
    changes = {'model.prototypes.init_samples': 60}
    cfg = online_cfg(tmp_path, **changes)
    runner = Runner.from_cfg(cfg)
    lines = listen(runner)
    runner.train()
    assert any(
        'init_samples' in x and 'a checkpoint every' in x for x in lines
    )
    # Begun before the first checkpoint: nothing can be lost.
    cfg.default_hooks.checkpoint.interval = 2
    runner = Runner.from_cfg(cfg)
    lines = listen(runner)
    runner.train()
    assert not any('a checkpoint every' in x for x in lines)


def test_a_loop_of_iterations_trains(tmp_path):
    # Nothing here is made between epochs, so none are needed.
    cfg = online_cfg(tmp_path)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=5)
    cfg.param_scheduler = None
    cfg.train_dataloader = loader_cfg(TWO_VIEWS)
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler')
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.model.prototypes.mixtures[0].steps == 3
