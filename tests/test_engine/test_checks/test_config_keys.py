# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from typing import Optional, Union

import pytest
import torch
from mmengine import registry as registries
from mmengine.config import Config
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS, METRICS

from pauc_mm.engine.checks.config_keys import check_config_keys, check_option
from pauc_mm.engine.hooks import CollapseMonitorHook

SGD = dict(type='SGD', lr=0.1)
MONITOR = dict(type='CollapseMonitorHook')


class Options:
    """Part with annotations of every kind."""

    def __init__(
        self,
        whole: int = 1,
        real: Optional[float] = None,  # noqa: UP045
        either: Union[int, float, bool] = 1,  # noqa: UP007
        array: float | torch.Tensor = 1,
        text: int | str = 1,
        several: list[int] = (),
        flag: bool = True,
        anything=None,
    ):
        pass


class WithoutInit(CollapseMonitorHook):
    pass


class Narrow(Options):
    def __init__(self, size=1, *args):
        pass


class Rewritten(Options):
    def __init__(self, whole: str = '', **options):
        pass


class Open:
    """Takes what it likes."""

    def __init__(self, size=1, **options):
        pass


class OpenMonitor(CollapseMonitorHook):
    def __init__(self, size=1, **options):
        pass


def build(size=1, **options):
    pass


build.__module__ = 'mmengine.somewhere'
INNER = dict(type=Options, foo=1)
GENERATOR = dict(type='OptimWrapper', optimizer=dict(type='SDG'))


@pytest.mark.parametrize(
    'cfg, message',
    [
        # Built without a type
        (dict(val_cfg=dict(fp_16=True)), 'val_cfg.fp_16. .*fp16'),
        (dict(test_cfg=dict(fp_16=True)), 'test_cfg.fp_16. .*fp16'),
        (dict(train_cfg=dict(steps=5)), 'train_cfg.steps'),
        (
            dict(optim_wrapper=dict(optimizer=SGD, clip=1)),
            'optim_wrapper.clip',
        ),
        (
            dict(optim_wrapper=dict(optimizer=SGD, constructor='M', clip=1)),
            'optim_wrapper.clip',
        ),
        (dict(train_cgf={}), 'train_cgf. .*train_cfg'),
        (dict(train_cfgs={}), r'train_cfgs. .*train_cfg\?'),
        (dict(loadd_from='x'), 'loadd_from. .*load_from'),
        # Each is named, and once
        (
            dict(randomness=dict(sed=1), env_cfg=dict(nothing=1)),
            'randomness.sed.*env_cfg.nothing',
        ),
        # Of the package, of mmengine and of mmpretrain nothing is passed on.
        (dict(custom_hooks=[dict(MONITOR, foo=1)]), 'custom_hooks.0.foo'),
        (dict(custom_hooks=(dict(MONITOR, foo=1),)), 'custom_hooks.0.foo'),
        (
            dict(custom_hooks=[dict(type=WithoutInit, foo=1)]),
            'custom_hooks.0.foo',
        ),
        (
            dict(
                train_dataloader=dict(
                    dataset=dict(type='mmpretrain.CIFAR10', foo=1)
                )
            ),
            'train_dataloader.dataset.foo',
        ),
        (
            dict(
                val_dataloader=dict(
                    dataset=dict(type='CIFAR10', batch_sampler=1)
                )
            ),
            'val_dataloader.dataset.batch_sampler',
        ),
        (dict(custom_hooks=[dict(MONITOR, kwargs=1)]), '0.kwargs'),
        (dict(custom_hooks=[dict(MONITOR, self=1)]), '0.self'),
        (dict(custom_hooks=[dict(type=Narrow, whole=1)]), '0.whole'),
        (dict(custom_hooks=[dict(type=Narrow, args=1)]), '0.args'),
        (dict(default_hooks=dict(mine=None)), 'default_hooks.mine'),
        (dict(default_hooks=dict(mine={})), 'default_hooks.mine'),
        (dict(default_hooks=dict(timer={})), 'default_hooks.timer'),
        (dict(optim_wrapper=dict(optimizer=dict(type='SDG'))), 'SDG.* SGD'),
        (
            dict(optim_wrapper=dict(constructor='M', one=GENERATOR)),
            'optim_wrapper.one.optimizer.type=.SDG',
        ),
    ],
)
def test_what_nothing_reads(cfg, message):
    with pytest.raises(ValueError, match=message):
        check_config_keys({'default_scope': 'mmpretrain', **cfg})


@pytest.mark.parametrize(
    'cfg',
    [
        dict(train_cfg=dict(by_epoch=False, max_iters=5)),
        dict(train_cfg=dict(by_epoch=True, max_epochs=5)),
        dict(val_cfg=dict(fp16=True), test_cfg=dict(fp16=True)),
        dict(val_cfg=None, default_hooks=None),
        dict(randomness=dict(seed=1, deterministic=True)),
        dict(optim_wrapper=dict(optimizer=SGD, accumulative_counts=2)),
        dict(optim_wrapper=dict(optimizer=SGD, constructor='Mine')),
        dict(optim_wrapper=dict(optimizer=dict(type=torch.optim.SGD, lr=1))),
        dict(optim_wrapper=dict(optimizer=SGD, clip_grad=dict(max_norm=1))),
        dict(train_dataloader=dict(num_batch_per_epoch=5)),
        dict(train_dataloader=dict(batch_sampler=dict(type='Mine'))),
        dict(env_cfg=dict(mp_cfg={}, dist_cfg=dict(a=1), resource_limit=1)),
        dict(default_hooks=dict(mine=Hook())),
        dict(custom_hooks=[dict(MONITOR, patience=1, batch_size=3)]),
        dict(custom_hooks=[dict(MONITOR, priority='LOW')]),
        dict(custom_hooks=[dict(MONITOR, _scope_='mmpretrain')]),
        dict(custom_hooks=[dict(type=WithoutInit, patience=1)]),
        dict(custom_hooks=[dict(type=Open, more=1)]),
        dict(custom_hooks=[dict(type=OpenMonitor, more=1)]),
        dict(custom_hooks=[dict(type=build, more=1)]),
        # What builds a part may take keys out of those within.
        dict(custom_hooks=[dict(type=Options, anything=INNER)]),
        dict(model=dict(type=Options, anything=INNER)),
        # The own annotation counts, not that of the base.
        dict(custom_hooks=[dict(type=Rewritten, whole='x', flag=True)]),
        dict(custom_hooks=[dict(type=Options, anything={0: 'cat'})]),
        # A part of the file's own, of which the Runner makes nothing
        dict(small=dict(type='SGD', foo=1)),
        dict(scheduler=5, train_dataloader_2={}),
        dict(auto_scale_lr=dict(enable=True, base_batch_size=4)),
    ],
)
def test_what_is_read(cfg):
    check_config_keys({'default_scope': 'mmpretrain', **cfg})


@pytest.mark.parametrize(
    'package, known',
    [('pauc_mm', True), ('mmdet', True), ('torch', True), ('own', False)],
)
def test_who_is_known_to_pass_options_on_to_the_base(package, known):
    members = dict(
        __init__=lambda self, size=1, **options: None,
        __module__=f'{package}.part',
    )
    part = dict(type=type('Part', (Options,), members), size=1, foo=1)
    if not known:
        check_config_keys(dict(custom_hooks=[part]))
        return
    with pytest.raises(ValueError, match='custom_hooks.0.foo'):
        check_config_keys(dict(custom_hooks=[part]))


@pytest.mark.parametrize('kinds', [(Open, Options), (Options, Open)])
def test_of_two_parts_of_a_name_one_may_take_anything(kinds):
    name = 'And'.join(kind.__name__ for kind in kinds)
    for registry, kind in zip((HOOKS, METRICS), kinds):
        registry.register_module(name, module=kind)
    part = dict(type=name, more=1)
    check_config_keys(dict(default_scope='mmpretrain', custom_hooks=[part]))


def test_the_part_of_the_scope_goes_before_that_of_mmengine():
    registries.HOOKS.register_module('OfBoth', module=Narrow)
    HOOKS.register_module('OfBoth', module=Options)
    for key, scope in (('whole', 'mmpretrain'), ('size', 'mmengine')):
        part = {'type': 'OfBoth', key: 1}
        check_config_keys(dict(default_scope=scope, custom_hooks=[part]))


def test_parts_that_are_imported_at_need(monkeypatch):
    def load(self):
        if self is not registries.HOOKS:
            raise ImportError
        monkeypatch.setitem(self.module_dict, 'LateHook', Options)

    monkeypatch.setattr(registries.Registry, 'import_from_location', load)
    check_config_keys(dict(custom_hooks=[dict(type='OfNobody', foo=1)]))
    with pytest.raises(ValueError, match='custom_hooks.0.foo'):
        check_config_keys(dict(custom_hooks=[dict(type='LateHook', foo=1)]))


@pytest.mark.parametrize(
    'name',
    [
        *('runtime_info', 'timer', 'sampler_seed', 'logger'),
        *('param_scheduler', 'checkpoint'),
    ],
)
def test_hooks_of_mmengine_can_be_removed(name):
    check_config_keys(dict(default_hooks={name: None}))


def test_a_scope_holds_for_the_parts_within():
    inner = dict(type='CollapseMonitorHook', foo=1)
    check_config_keys(dict(custom_hooks=[inner]))  # of another package
    for cfg in (
        dict(custom_hooks=[dict(inner, _scope_='mmpretrain')]),
        dict(
            custom_hooks=[dict(inner, type='mmpretrain.CollapseMonitorHook')]
        ),
        dict(default_scope='mmpretrain', custom_hooks=[inner]),
    ):
        with pytest.raises(ValueError, match='custom_hooks.0.foo'):
            check_config_keys(cfg)
    near = dict(type='CollapseMonitorHook', patienc=1)
    outer = dict(type=Options, anything=near)
    check_config_keys(dict(custom_hooks=[outer]))
    with pytest.raises(ValueError, match='anything.patienc. .*patience'):
        check_config_keys(
            dict(custom_hooks=[dict(outer, _scope_='mmpretrain')])
        )


@pytest.mark.parametrize(
    'key, number',
    [
        ('whole', True),
        ('real', True),
        ('either', True),
        ('array', True),
        ('text', False),
        ('several', False),
        ('flag', False),
        ('anything', False),
    ],
)
@pytest.mark.parametrize('value', ['1e-3x', [0, 1], (0, 1)])
def test_what_must_be_a_number(key, number, value):
    cfg = dict(custom_hooks=[{'type': Options, key: value}])
    if not number:
        check_config_keys(cfg)
        return
    with pytest.raises(ValueError, match=f'custom_hooks.0.{key} must be a n'):
        check_config_keys(cfg)


@pytest.mark.parametrize(
    'key, walked',
    [('norm_cfg', False), ('dcn', False), ('policies', False), ('a', True)],
)
def test_parts_whose_builder_takes_keys_out(key, walked):
    # Far below, only what looks like a slip is one.
    part = dict(type='CollapseMonitorHook', patienc=1, batch=1, foo=1)
    cfg = dict(default_scope='mmpretrain', model={key: [part]})
    if not walked:
        check_config_keys(cfg)
        return
    with pytest.raises(ValueError, match='model.a.0.patienc') as caught:
        check_config_keys(cfg)
    assert str(caught.value).count('Nothing reads') == 1


CFG = Config(
    dict(
        a=dict(size=1),
        b=dict(size=2, oversize=1),
        c=dict(inner=dict(size=3)),
        d=dict(size=4),
        own=1,
    )
)


@pytest.mark.parametrize(
    'key, near',
    [
        ('size', r'Did you mean a.size or b.size or c.inner.size\?'),
        ('inner.size', r'Did you mean c.inner.size\?'),
        ('ize', '^.Nothing reads ize..$'),
        ('owm', r'Did you mean own\?'),
        ('train_cgf.max_epochs', r'reads train_cgf. Did you mean train_cfg\?'),
    ],
)
def test_an_option_for_nobody(key, near):
    with pytest.raises(KeyError, match=near):
        check_option(CFG, key)


@pytest.mark.parametrize(
    'key',
    [
        *('own', 'a.b.c', 'train_cfg.max_epochs', 'runner_type', 'compile'),
        *('custom_imports', 'find_unused_parameters', 'annotation_check'),
        *('activation_checkpointing', 'efficient_conv_bn_eval'),
    ],
)
def test_an_option_for_somebody(key):
    check_option(CFG, key)
