# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Keys that nothing reads, from the command line and from config files."""

import functools
import re
from copy import deepcopy

import pytest
from mmengine.config import Config, DictAction
from mmpretrain.registry import METRICS, MODELS

import pauc_mm.detection  # noqa: F401
from pauc_mm.apis.config import load_config
from pauc_mm.apis.fine_tune import train_classifier, train_detector
from pauc_mm.apis.train import get_parser
from pauc_mm.apis.train import main as train
from pauc_mm.engine.checks.config_keys import check_config_keys
from pauc_mm.utils.shipped_files import (
    config_root,
    list_configs,
    resolve_config,
)

DIGITS, MOCO = 'pauc/pauc_tiny_digits', 'mocov2/mocov2_tiny_digits'
BYOL, LINEAR = 'byol/byol_tiny_digits', 'benchmarks/linear/tiny_digits'
DETECTOR = 'benchmarks/detection/faster-rcnn_tiny_digits'


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    """Config files are slow to read."""
    monkeypatch.setattr(Config, 'fromfile', lambda path: deepcopy(read(path)))


@functools.cache
def read(path, read=Config.fromfile):
    return read(path)


def load(name, *options):
    args = get_parser().parse_args([name, '--cfg-options', *options])
    return load_config(args, resolve_config(name))


# config, option, what the message has to name: the whole path, the near key
ROWS = [
    (DIGITS, 'randomnes.seed=3', 'randomnes. .* randomness'),
    (DIGITS, 'train_cgf.max_epochs=7', 'train_cgf. .* train_cfg'),
    (DIGITS, 'optim_wraper.optimizer.lr=1', 'optim_wraper. .* optim_wrapper'),
    (DIGITS, 'lr=0.1', ' lr. .* optim_wrapper.optimizer.lr'),
    (DIGITS, 'max_epochs=3', 'max_epochs. .* train_cfg.max_epochs'),
    (DIGITS, 'warmup_epochs=3', 'default_hooks.clustering.warmup_epochs'),
    (DIGITS, 'foo=3', 'foo'),
    (DIGITS, 'model.foo=3', 'model.foo'),
    (DIGITS, 'model.num_cluster=[9]', 'model.num_cluster. .*num_clusters'),
    (DIGITS, 'model.queue_lenght=9', 'model.queue_lenght. .*queue_len'),
    (
        DIGITS,
        'model.backbone.channel=[4]',
        'model.backbone.channel. .*channels',
    ),
    (DIGITS, 'model.proto_head.num_negative=9', 'proto_head.num_negatives'),
    (DIGITS, 'model.head.temprature=0.1', 'model.head.temperature'),
    (MOCO, 'model.queue_lenn=9', 'model.queue_lenn. .*queue_len'),
    (BYOL, 'model.base_momentun=9', 'model.base_momentun. .*base_momentum'),
    (DIGITS, 'train_dataloader.batchsize=4', 'train_dataloader.batch_size'),
    (DIGITS, 'val_dataloader.num_worker=4', 'val_dataloader.num_workers'),
    (
        DIGITS,
        'train_dataloader.dataset.splt=a',
        'train_dataloader.dataset.split',
    ),
    (DIGITS, 'train_dataloader.sampler.shufle=0', 'sampler.shuffle'),
    (DIGITS, 'optim_wrapper.clip_gard.max_norm=3', 'optim_wrapper.clip_grad'),
    (DIGITS, 'optim_wrapper.accumulate=4', 'accumulative_counts'),
    (DIGITS, 'optim_wrapper.optimizer.wd=4', 'optim_wrapper.optimizer.wd'),
    (DIGITS, 'optim_wrapper.optimizer.type=SDG', "type='SDG'.* SGD"),
    (DIGITS, 'param_scheduler.0.Tmax=4', 'param_scheduler.0.T_max'),
    (DIGITS, 'param_scheduler.T_max=4', 'param_scheduler.T_max=4'),
    (DIGITS, 'env_cfg.cudnn_benchmrk=True', 'env_cfg.cudnn_benchmark'),
    (DIGITS, 'env_cfg.nothing=3', 'env_cfg.nothing'),
    (DIGITS, 'auto_scale_lr.nothing=3', 'auto_scale_lr.nothing'),
    (DIGITS, 'randomness.sed=3', 'randomness.seed'),
    (
        DIGITS,
        'auto_scale_lr.base_batchsize=3',
        'auto_scale_lr.base_batch_size',
    ),
    (DIGITS, 'train_cfg.max_epoch=3', 'train_cfg.max_epochs'),
    (DIGITS, 'val_cfg.bank_loader.batch_size=3', 'val_cfg.bank_dataloader'),
    (DIGITS, 'val_evaluator.0.topk=3', 'val_evaluator.0.topk'),
    (DIGITS, 'default_hooks.clustering.kmeans.n_iter=3', 'kmeans.niter'),
    (DIGITS, 'default_hooks.clustering.kmeans.nothing=3', 'kmeans.nothing'),
    (DIGITS, 'default_hooks.clustering.kmeans.niter=x', "niter .*'x'"),
    (DIGITS, 'default_hooks.clustering.warmup=3', 'clustering.warmup_epochs'),
    (DIGITS, 'default_hooks.clustering.warmup=None', 'warmup_epochs'),
    (DIGITS, 'default_hooks.clusterin.interval=2', 'default_hooks.clustering'),
    (
        MOCO,
        'default_hooks.clustering.interval=2',
        'default_hooks.clustering, which has no type',
    ),
    (MOCO, 'default_hooks.checkpoints.interval=2', 'default_hooks.checkpoint'),
    (LINEAR, 'model.head.num_class=3', 'model.head.num_classes'),
    (DETECTOR, 'model.roi_heads.x=3', 'model.roi_head'),
    (DIGITS, 'optim_wrapper.optimizer.lr=0,1', r'optimizer.lr .*\[0, 1\]'),
    (DIGITS, 'optim_wrapper.optimizer.lr=1e-3x', "optimizer.lr .*'1e-3x'"),
    (DIGITS, 'train_cfg.max_epochs=1,5', r'train_cfg.max_epochs .*\[1, 5\]'),
    (DIGITS, 'train_dataloader.batch_size=ten', "batch_size .*'ten'"),
]


@pytest.mark.verdict('refused')
@pytest.mark.parametrize('config, option, message', ROWS)
def test_an_option_that_nothing_reads(config, option, message):
    with pytest.raises(ValueError, match=message):
        check_config_keys(load(config, option))


@pytest.mark.verdict('refused')
def test_a_misspelt_key_of_a_file_and_variables_of_its_own(tmp_path):
    path = tmp_path / 'recipe.py'
    text = f"_base_ = '{resolve_config(DIGITS)}'\n"
    path.write_text(text + 'optim_wraper = dict(lr=0.1)\n')
    with pytest.raises(ValueError, match='optim_wraper. .* optim_wrapper'):
        check_config_keys(Config.fromfile(path))
    path = tmp_path / 'other.py'
    path.write_text(text + 'K = 5\nval_evaluator_small = base_model = 3\n')
    check_config_keys(Config.fromfile(path))


@pytest.mark.verdict('works')
@pytest.mark.parametrize(
    'option',
    [
        'test_pipeline.0.meta_keys=[a]',
        'compile=True',
        'default_hooks.logger=None',
        'default_hooks.checkpoint.priority=LOW',
        'optim_wrapper.paramwise_cfg.norm_decay_mult=0',
        'param_scheduler.0.convert_to_iter_based=True',
        'train_dataloader.persistent_workers=False',
        'optim_wrapper.optimizer.lr=1e-3',
    ],
)
def test_what_is_read_passes(option):
    check_config_keys(load(DIGITS, option))


@pytest.mark.verdict('works')
@pytest.mark.slow
@pytest.mark.parametrize('name', list_configs())
def test_shipped_configs_pass(name):
    check_config_keys(Config.fromfile(config_root() / name))


@pytest.mark.verdict('works')
def test_a_constructor_takes_several_optimizers():
    part = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
    wrapper = dict(constructor='Mine', generator=part, discriminator=part)
    check_config_keys(dict(optim_wrapper=wrapper))


@pytest.mark.verdict('refused')
def test_a_class_that_keeps_its_options_to_itself():
    class Own(functools.partial):
        def __init__(self, x, **options):
            pass

    cfg = dict(custom_hooks=[dict(type=Own, x=1, speed=2)])
    check_config_keys(cfg)
    with pytest.raises(ValueError, match='custom_hooks.0.y'):
        check_config_keys(dict(custom_hooks=[dict(type=DictAction, y=1)]))


@pytest.mark.verdict('refused')
def test_numbers_are_asked_for_only_where_nothing_else_takes_the_key():
    class Part:
        def __init__(self, size: int):
            pass

    class Whole:
        def __init__(self, part: dict):
            pass

    part = dict(type=Part, size=[1, 2])
    check_config_keys(dict(model=dict(type=Whole, part=part)))
    with pytest.raises(ValueError, match='custom_hooks.0.size .* number'):
        check_config_keys(dict(custom_hooks=[part]))


@pytest.mark.verdict('refused')
def test_a_name_in_two_registries_takes_the_options_of_both():
    class Twice:
        def __init__(self, one=1):
            pass

    class Namesake:
        def __init__(self, other=1):
            pass

    MODELS.register_module('NamedTwice', module=Twice)
    METRICS.register_module('NamedTwice', module=Namesake)
    for key in ('one', 'other'):
        part = {'type': 'NamedTwice', key: 2}
        cfg = dict(default_scope='mmpretrain', custom_hooks=[part])
        check_config_keys(cfg)
    part['third'] = 2
    with pytest.raises(ValueError, match='custom_hooks.0.third'):
        check_config_keys(cfg)


@pytest.mark.verdict('refused')
@pytest.mark.parametrize(
    'main, argv, message',
    [
        (train, ['last.pth'], r"'last.pth' is no config.*\.py"),
        (train_classifier, ['last.pth', resolve_config(LINEAR)], 'is no conf'),
        (train_classifier, [resolve_config(DETECTOR), 'none'], 'detection/tr'),
        (train_detector, [resolve_config(LINEAR), 'none'], 'classification/t'),
    ],
)
def test_a_file_in_the_wrong_place(
    tmp_path, monkeypatch, capsys, main, argv, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'last.pth').touch()
    with pytest.raises(SystemExit):
        main(argv)
    assert re.search(message, capsys.readouterr().err)
