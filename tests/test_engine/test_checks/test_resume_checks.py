# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
import re
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from pauc_mm.engine.checks import resume_checks
from pauc_mm.engine.checks.resume_checks import (
    check_same_settings,
    check_same_steps,
)


@pytest.fixture
def warned(monkeypatch):
    lines = []

    def note(text, logger, level):
        assert level == logging.WARNING
        lines.append(text)

    monkeypatch.setattr(resume_checks, 'print_log', note)
    return lines


def config(key, value):
    """Config with one setting beside those that every run has."""
    every = dict(val_evaluator=dict(type='Accuracy'))
    if value is None:
        return Config(every)
    for name in reversed(key.split('.')):
        value = [value] if name == '0' else {name: value}
    return Config({**every, **value})


@pytest.mark.parametrize(
    'key',
    [
        'param_scheduler.0.end',
        'randomness.diff_rank_seed',
        'auto_scale_lr.base_batch_size',
        'optim_wrapper.constructor',
        'optim_wrapper.paramwise_cfg.norm_decay_mult',
        'model.prototypes.type',
        'train_cfg.type',
        'train_cfg.by_epoch',
    ],
)
@pytest.mark.parametrize('old, new', [(1, 2), (None, 2), (1, None)])
def test_what_the_checkpoint_decides(warned, key, old, new):
    text = config(key, old).pretty_text
    with pytest.raises(
        ValueError, match=f'{key}={new}, in the checkpoint {old}'
    ):
        check_same_settings(text, config(key, new))
    assert not warned


@pytest.mark.parametrize(
    'key, verb',
    [
        ('model.init_cfg.type', 'has no'),
        ('model.pretrained', 'has no'),
        ('model.backbone.pretrained', 'has no'),
        ('model.backbone.init_cfg.checkpoint', 'has no'),
        ('model.neck.convs.0.init_cfg.type', 'has no'),
        ('model.backbone.init_cfgs', 'takes'),
        ('model.backbone.type', 'takes'),
        ('model.prototypes.type_of', 'takes'),
        ('randomness.deterministic', 'takes'),
        ('optim_wrapper.clip_grad.max_norm', 'takes'),
        ('train_cfg.val_interval', 'takes'),
        ('custom_hooks.0.interval', 'takes'),
        ('default_hooks.checkpoint.interval', 'takes'),
        ('default_hooks.loggers.interval', 'takes'),
        ('train_dataloader.sampler.shuffle', 'takes'),
    ],
)
@pytest.mark.parametrize('old, new', [(1, 2), (None, 2), (1, None)])
def test_what_the_run_decides(warned, key, verb, old, new):
    check_same_settings(config(key, old).pretty_text, config(key, new))
    (line,) = warned
    line = line.splitlines()[1].strip()
    assert line == f'{key}={new}, in the checkpoint {old}: {verb} effect'


@pytest.mark.parametrize(
    'key',
    [
        *('work_dir', 'resume', 'load_from', 'launcher', 'experiment_name'),
        *('log_level', 'env_cfg.cudnn_benchmark', 'visualizer.name'),
        *('log_processor.window_size', 'model_wrapper_cfg.type'),
        *('default_scope', 'default_hooks.logger.interval'),
        *('default_hooks.visualization.enable', 'default_hooks.setup_check.a'),
        *('default_hooks.divergence.interval', 'train_dataloader.num_workers'),
        *('default_hooks.checkpoint_guard.a', 'val_dataloader.pin_memory'),
        *('test_dataloader.persistent_workers', 'model._scope_'),
        *(
            'train_dataloader.prefetch_factor',
            'val_dataloader.collate_fn.type',
        ),
        'of_the_file.alone',  # no setting of a Runner
    ],
)
def test_what_makes_no_difference_is_not_said(warned, key):
    check_same_settings(config(key, 1).pretty_text, config(key, 2))
    assert not warned


def test_every_difference_is_said(warned):
    old = 'model = dict(a=1, b=1)\nrandomness = dict(seed=1)\n'
    cfg = Config(dict(model=dict(a=2, b=2), randomness=dict(seed=1)))
    check_same_settings(old, cfg)
    assert re.search(r'model\.a=2.*model\.b=2', warned[0], re.DOTALL)
    cfg.randomness.seed, cfg.auto_scale_lr = 2, dict(enable=True)
    with pytest.raises(ValueError, match='seed=2.*auto_scale_lr.enable=True'):
        check_same_settings(old, cfg)


def test_other_forms_of_a_setting_make_no_difference(warned):
    for old, new in (((1, 2), [1, 2]), (None, ...)):
        text = Config(dict(model=dict(b=1, a=old))).pretty_text
        model = dict(b=1) if new is ... else dict(b=1, a=new)
        check_same_settings(text, Config(dict(model=model)))
    assert not warned


def test_a_config_of_more_than_literals_is_not_compared(warned):
    check_same_settings('seed = open("x")', Config(dict(model=dict(a=1))))
    assert 'cannot be compared' in warned[0] and len(warned) == 1


IN_STEPS = SimpleNamespace(by_epoch=False, end=13)


@pytest.mark.parametrize(
    'meta, schedulers, verdict',
    [
        (dict(epoch_steps=3), [IN_STEPS], 'works'),
        ({}, [IN_STEPS], 'works'),  # of an older version
        (dict(epoch_steps=6), [IN_STEPS], 'refused'),
        (dict(epoch_steps=6), None, 'noted'),
        (dict(epoch_steps=6), dict(generator=[IN_STEPS]), 'noted'),
        (
            dict(epoch_steps=6),
            [SimpleNamespace(by_epoch=True, end=13), IN_STEPS],
            'refused',
        ),
        # One that counts epochs, and one that is over
        (
            dict(epoch_steps=6),
            [
                SimpleNamespace(by_epoch=True, end=13),
                SimpleNamespace(by_epoch=False, end=12),
            ],
            'noted',
        ),
    ],
)
def test_epochs_of_another_length(warned, meta, schedulers, verdict):
    meta = dict(meta, iter=12)
    if verdict == 'refused':
        with pytest.raises(ValueError, match='3 steps, in the checkpoint 6'):
            check_same_steps(meta, 3, schedulers)
    else:
        check_same_steps(meta, 3, schedulers)
    assert len(warned) == (verdict == 'noted')
