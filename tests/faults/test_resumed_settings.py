# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Resuming with other settings: each takes effect, or is refused."""

import shutil

import pytest
from mmengine.dataset import BaseDataset
from mmengine.runner import Runner

from pauc_mm.datasets.dataset_views import fingerprint
from tests.helpers import loader_cfg, model_cfg, run_cfg


@pytest.fixture(scope='module')
def stopped(tmp_path_factory):
    """Work folder of a run of PAUC, stopped after 2 of 4 epochs."""
    folder = tmp_path_factory.mktemp('stopped')
    cfg = run_cfg(folder)
    cfg.train_cfg.max_epochs = 2
    Runner.from_cfg(cfg).train()
    return folder


# Changes of the config, and how --resume ends. It may train to epoch 4 or 3.
FOUR, THREE = {'train_cfg.max_epochs': 4}, {'train_cfg.max_epochs': 3}
COSINE_8 = [dict(type='CosineAnnealingLR', T_max=8)]
SCALED = dict(enable=True, base_batch_size=4)
PCL = dict(_delete_=True, **model_cfg('PCL'))
KAIMING = dict(type='Kaiming', layer='Conv2d')
EIGHT = {'train_cfg.max_epochs': 8}
ROWS = [
    ({}, 'works'),
    (FOUR, 'noted: max_epochs=4, .* 2: takes effect'),
    ({'train_dataloader.num_workers': 1}, 'works'),
    (
        {**THREE, 'model.head.temperature': 0.2},
        'noted: model.head.temperature=0.2, .* 0.1: takes effect',
    ),
    (
        {**THREE, 'optim_wrapper.type': 'CPUAmpOptimWrapper'},
        "noted: optim_wrapper.type='CPUAmp.*: takes effect",
    ),
    (
        {**THREE, 'train_dataloader.batch_size': 8},
        'noted: An epoch has 6 steps, in the checkpoint 3',
    ),
    (
        {'model.backbone.init_cfg': KAIMING},
        'noted: init_cfg.* has no effect',
    ),
    (
        {'optim_wrapper.optimizer.lr': 0.5},
        'refused: optimizer.lr=0.5, .* 0.05',
    ),
    (
        {'optim_wrapper.optimizer.weight_decay': 0.1},
        'refused: weight_decay=0.1',
    ),
    (
        {'optim_wrapper.paramwise_cfg': dict(bias_lr_mult=2.0)},
        'refused: paramwise_cfg.bias_lr_mult',
    ),
    (
        {**EIGHT, 'param_scheduler': COSINE_8},
        'refused: param_scheduler.0.T_max=8, in the checkpoint 4',
    ),
    (EIGHT, 'refused: load_from'),  # and lr would rise
    ({'randomness.seed': 3}, 'refused: randomness.seed=3, .* 7'),
    ({'model': PCL}, "refused: model.type='PCL', .* 'PAUC'"),
    ({'auto_scale_lr': SCALED}, 'refused: auto_scale_lr.enable'),
]


@pytest.mark.parametrize('changes, verdict', ROWS)
def test_settings_that_changed(stopped, tmp_path, ends, changes, verdict):
    shutil.copytree(stopped, tmp_path / 'run')
    cfg = run_cfg(tmp_path / 'run', max_epochs=4, resume=True)
    cfg.train_cfg.max_epochs = 2
    cfg.merge_from_dict(changes)
    with ends(verdict) as said:
        runner = Runner.from_cfg(cfg)
        runner.train()
        assert runner.epoch == runner.max_epochs
    if verdict == 'works':
        assert 'in the checkpoint' not in '\n'.join(said)


@pytest.mark.verdict('refused')
def test_a_schedule_in_steps_needs_the_same_epoch(tmp_path):
    schedule = dict(
        type='CosineAnnealingLR',
        T_max=4,
        end=4,
        convert_to_iter_based=True,
    )
    cfg = run_cfg(tmp_path, 'PCL', param_scheduler=[schedule])
    cfg.train_cfg.max_epochs = 2
    Runner.from_cfg(cfg).train()
    cfg = run_cfg(tmp_path, 'PCL', param_scheduler=[schedule], resume=True)
    cfg.train_dataloader.batch_size = 8
    with pytest.raises(ValueError, match='6 steps, in the checkpoint 3'):
        Runner.from_cfg(cfg).train()


@pytest.mark.verdict('works')
def test_other_images_under_the_same_names(tmp_path):
    paths = [tmp_path / f'{i}.png' for i in range(3)]
    for path in paths:
        path.write_bytes(b'one')

    class Images(BaseDataset):
        def load_data_list(self):
            return [dict(img_path=str(path)) for path in paths]

    images = Images()
    before = fingerprint(images), fingerprint(images, contents=True)
    paths[1].write_bytes(b'two')
    assert fingerprint(images) == before[0]
    assert fingerprint(images, contents=True) != before[1]


@pytest.mark.parametrize(
    'kind, verdict',
    [
        ('MoCo', 'noted: train_dataloader.dataset'),
        ('PCL', 'refused: train_dataloader.dataset'),
    ],
)
def test_another_digest_of_the_images(
    tmp_path, monkeypatch, ends, kind, verdict
):
    def run(**changes):
        cfg = run_cfg(tmp_path, 'PCL', max_epochs=3, **changes)
        if kind == 'MoCo':
            cfg.model.type = 'MoCo'
            del cfg.model['num_clusters'], cfg.model['proto_head']
            del cfg.default_hooks['clustering']
        cfg.train_cfg.max_epochs = 2 + bool(changes)
        Runner.from_cfg(cfg).train()

    run()
    module = 'pauc_mm.engine.hooks.checkpoint_guard_hook.fingerprint'
    monkeypatch.setattr(module, lambda images, contents: 'other')
    with ends(verdict):
        run(resume=True)


@pytest.mark.verdict('recovers')
@pytest.mark.parametrize('stop_in', [1, 2])
def test_an_evaluation_that_was_killed_is_made(tmp_path, stop_in):
    def runner(**changes):
        cfg = run_cfg(tmp_path, 'PCL', max_epochs=2, **changes)
        cfg.val_dataloader = loader_cfg()
        cfg.val_cfg = dict(type='EmbeddingValLoop')
        cfg.val_evaluator = dict(type='KNNAccuracy', k=3)
        return Runner.from_cfg(cfg)

    first, seen = runner(), []
    loop = first.val_loop.run

    def die():
        seen.append(first.epoch)
        if len(seen) == stop_in:
            raise KeyboardInterrupt
        return loop()

    first.val_loop.run = die
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second, evaluated = runner(resume=True), []
    again = second.val_loop.run

    def note():
        evaluated.append(second.epoch)
        return again()

    second.val_loop.run = note
    second.train()
    assert evaluated == list(range(stop_in, 3))
