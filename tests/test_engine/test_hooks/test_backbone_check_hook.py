# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.model import ExponentialMovingAverage, PretrainedInit
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.engine.hooks import BackboneCheckHook
from pauc_mm.models import TinyConvNet
from tests.helpers import run_cfg


@MODELS.register_module()
class ForgetfulConvNet(TinyConvNet):
    """Initialises a layer again after its weights were loaded."""

    def init_weights(self):
        super().init_weights()
        torch.nn.init.zeros_(self.layers[0].conv.weight)


def save(path, channels=(8, 16), prefix='backbone.', **more):
    torch.manual_seed(3)
    net = TinyConvNet(channels=channels, strides=(1, 2))
    state = {f'{prefix}{k}': v for k, v in net.state_dict().items()}
    torch.save(dict(state_dict={**state, **more}), path)
    return path


def runner_from(folder, checkpoint, prefix='backbone.', kind=None, **changes):
    cfg = run_cfg(folder, max_epochs=2)
    init = dict(type='Pretrained', checkpoint=str(checkpoint), prefix=prefix)
    cfg.model.backbone.init_cfg = init
    if kind:
        cfg.model.backbone.type = kind
    cfg.default_hooks.backbone_check = dict(type='BackboneCheckHook')
    cfg.merge_from_dict(changes)
    runner = Runner.from_cfg(cfg)
    lines = []
    runner.logger.info = lines.append
    return runner, lines


def test_weights_that_fit_are_told_and_loaded(tmp_path):
    more = {'backbone.fc.bias': torch.zeros(3)}  # of which nothing is told
    path = save(tmp_path / 'a.pth', **more)
    runner, lines = runner_from(tmp_path / 'run', path)
    seen = {}
    hook = next(h for h in runner.hooks if isinstance(h, BackboneCheckHook))
    before_train = hook.before_train

    def spy(runner):
        seen['conv'] = runner.model.backbone.layers[0].conv.weight.clone()
        before_train(runner)

    hook.before_train = spy
    runner.train()
    saved = torch.load(path)['state_dict']
    assert torch.equal(seen['conv'], saved['backbone.layers.0.conv.weight'])
    # Two convolutions without bias, two BatchNorms with four tensors.
    told = f'10 of the 10 tensors of model.backbone are in {path}.'
    assert told in lines


@pytest.mark.parametrize('prefix', [None, 'backbone', 'encoder.'])
def test_prefixes(tmp_path, prefix):
    inside = {None: '', 'backbone': 'backbone.', 'encoder.': 'encoder.'}
    path = save(tmp_path / 'a.pth', prefix=inside[prefix])
    runner, lines = runner_from(tmp_path / 'run', path, prefix)
    runner.call_hook('before_run')  # not yet in training
    assert not lines
    runner.train()
    assert any('10 of the 10' in str(line) for line in lines)


def test_below_ninety_percent_is_an_error_with_both_sides(tmp_path):
    path = save(tmp_path / 'a.pth', channels=(8, 24))
    runner, _ = runner_from(tmp_path / 'run', path)
    with pytest.raises(RuntimeError) as error:
        runner.train()
    message = str(error.value)
    # The second convolution and its BatchNorm have other shapes.
    assert 'model.backbone.init_cfg: Only 5 of the 10 tensors' in message
    assert '5 of another shape: backbone.layers.1.conv.weight' in message
    assert '(24, 8, 3, 3), not (16, 8, 3, 3)' in message
    runner, _ = runner_from(
        tmp_path / 'again',
        path,
        **{'default_hooks.backbone_check.min_matched': 0.5},
    )
    runner.train()  # what fits was asked for, no more


@pytest.mark.parametrize('spoilt', [0, 1])
def test_each_of_several_checkpoints_is_checked(tmp_path, spoilt):
    nets = nn.ModuleList(
        TinyConvNet(channels=(8, 16), strides=(1, 2)) for _ in range(2)
    )
    for i, net in enumerate(nets):
        width = 24 if i == spoilt else 16
        path = save(tmp_path / f'{i}.pth', channels=(8, width))
        net.init_cfg = dict(
            type='Pretrained', checkpoint=str(path), prefix='backbone.'
        )
    runner = SimpleNamespace(
        model=nets,
        optim_wrapper=OptimWrapper.__new__(OptimWrapper),
        logger=logging.getLogger(__name__),
    )
    with pytest.raises(RuntimeError, match=f'model.{spoilt}.init_cfg'):
        BackboneCheckHook().before_run(runner)


def plain_runner(model, **changes):
    """Runner of a model, and the lines that it logs."""
    lines = []
    parts = dict(
        model=model,
        optim_wrapper=OptimWrapper.__new__(OptimWrapper),
        logger=SimpleNamespace(info=lines.append),
        _load_from=None,
        _resume=False,
    )
    return SimpleNamespace(**{**parts, **changes}), lines


def pretrained(path, checkpoint=None, **init):
    """Network that is to begin with a checkpoint, and does."""
    net = TinyConvNet(channels=(8, 16), strides=(1, 2))
    state = torch.load(path)['state_dict']
    net.load_state_dict(
        {k.removeprefix('backbone.'): v for k, v in state.items()}
    )
    checkpoint = str(path if checkpoint is None else checkpoint)
    own = dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.')
    net.init_cfg = {**own, **init}
    return net


def test_parts_of_one_checkpoint_are_named_and_compared_each(tmp_path):
    path = save(tmp_path / 'a.pth')
    nets = nn.ModuleList(pretrained(path) for _ in range(2))
    runner, lines = plain_runner(nn.DataParallel(nets))  # any wrapper
    hook = BackboneCheckHook()
    hook.before_run(runner)
    assert lines == [
        f'10 of the 10 tensors of model.{i} are in {path}.' for i in range(2)
    ]
    hook.before_train(runner)
    nn.init.zeros_(nets[0].layers[0].conv.weight)
    hook.before_train(runner)  # once a run
    hook.before_run(runner)
    with pytest.raises(RuntimeError, match='1 of the 10 tensors of model.0 d'):
        hook.before_train(runner)
    for spoil in (
        lambda init: init.update(checkpoint=''),
        lambda init: init.pop('checkpoint'),
    ):
        for net in nets:
            spoil(net.init_cfg)
        found = '^model.0.init_cfg, model.1.init_cfg: checkpoint is'
        with pytest.raises(ValueError, match=found):
            hook.before_run(runner)


@pytest.mark.parametrize(
    'form',
    [
        lambda init: init,
        lambda init: [init],
        lambda init: [dict(type='Kaiming', layer='Conv2d'), init],
        lambda init: dict(init, type=PretrainedInit),
    ],
)
def test_each_form_of_init_cfg(tmp_path, form):
    net = pretrained(save(tmp_path / 'a.pth'))
    net.init_cfg = form(net.init_cfg)
    runner, lines = plain_runner(net)
    BackboneCheckHook().before_run(runner)
    (line,) = lines
    assert line.startswith('10 of the 10 tensors of model are in')


def test_what_is_not_pretrained_or_not_trained_is_not_checked(tmp_path):
    net = pretrained(save(tmp_path / 'a.pth'), checkpoint='')
    runner, _ = plain_runner(net, optim_wrapper=None)
    hook = BackboneCheckHook()
    hook.before_run(runner)
    hook._expected = {'of': 'a run before'}
    for net.init_cfg in (None, dict(type='Kaiming', layer='Conv2d'), []):
        runner, lines = plain_runner(net)
        hook.before_run(runner)
        hook.before_train(runner)
        assert not lines


def test_weights_that_are_not_finite_are_refused(tmp_path):
    nan = torch.full((8, 3, 3, 3), torch.nan)
    more = {'backbone.layers.0.conv.weight': nan}
    runner, _ = plain_runner(pretrained(save(tmp_path / 'a.pth', **more)))
    with pytest.raises(ValueError, match='^model.init_cfg: .*conv.weight'):
        BackboneCheckHook().before_run(runner)


def test_copies_of_a_momentum_encoder_are_not_checked(tmp_path):
    net = pretrained(save(tmp_path / 'a.pth'))
    average = ExponentialMovingAverage(nn.Sequential(net))
    nn.init.zeros_(average.module[0].layers[0].conv.weight)
    runner, lines = plain_runner(nn.Sequential(net, average))
    hook = BackboneCheckHook()
    hook.before_run(runner)
    (line,) = lines
    assert 'tensors of model.0 are in' in line
    hook.before_train(runner)


@pytest.mark.parametrize('dtype', [torch.float16, torch.float64])
def test_values_of_another_precision_are_compared_in_the_models(
    tmp_path, dtype
):
    path = save(tmp_path / 'a.pth')
    checkpoint = torch.load(path)
    for name, value in checkpoint['state_dict'].items():
        if value.is_floating_point():
            # What loading rounds away is no difference.
            value = value.to(dtype) * (1 + 1e-12)
            checkpoint['state_dict'][name] = value
    torch.save(checkpoint, path)
    runner, _ = plain_runner(pretrained(path))
    hook = BackboneCheckHook()
    hook.before_run(runner)
    hook.before_train(runner)


@pytest.mark.parametrize(
    'changes', [dict(_load_from='a.pth'), dict(_resume=True)]
)
def test_the_values_of_another_checkpoint_are_its_own(tmp_path, changes):
    net = pretrained(save(tmp_path / 'a.pth'))
    runner, _ = plain_runner(net, **changes)
    hook = BackboneCheckHook()
    hook.before_run(runner)
    nn.init.zeros_(net.layers[0].conv.weight)
    hook.before_train(runner)


@pytest.mark.parametrize(
    'least, valid', [(0, False), (0.5, True), (1, True), (1.01, False)]
)
def test_the_least_share_is_a_share(least, valid):
    if valid:
        assert BackboneCheckHook(least).min_matched == least
        return
    with pytest.raises(ValueError, match=f'min_matched .*{least}'):
        BackboneCheckHook(least)


def test_values_that_were_overwritten(tmp_path):
    path = save(tmp_path / 'a.pth')
    runner, _ = runner_from(tmp_path / 'run', path, kind='ForgetfulConvNet')
    with pytest.raises(RuntimeError) as error:
        runner.train()
    message = str(error.value)
    assert '1 of the 10 tensors of model.backbone' in message
    assert 'layers.0.conv.weight' in message


def test_values_of_a_later_checkpoint_are_not_compared(tmp_path):
    path = save(tmp_path / 'a.pth')
    runner, _ = runner_from(tmp_path / 'run', path)
    runner.train()
    (trained,) = (tmp_path / 'run').glob('epoch_1.pth')
    for changes in (
        dict(load_from=str(trained)),
        dict(load_from=str(trained), resume=True),
    ):
        work_dir = tmp_path / f'more_{len(changes)}'
        runner, _ = runner_from(work_dir, path, **changes)
        runner.train()


def test_wrong_input(tmp_path):
    with pytest.raises(ValueError, match='min_matched'):
        BackboneCheckHook(min_matched=90)
    runner, _ = runner_from(tmp_path / 'a', '')
    with pytest.raises(
        ValueError, match='model.backbone.init_cfg: checkpoint'
    ):
        runner.train()
    runner, _ = runner_from(tmp_path / 'b', tmp_path / 'no.pth')
    with pytest.raises(FileNotFoundError, match='no.pth'):
        runner.train()
    path = save(tmp_path / 'c.pth', prefix='encoder_q.')
    runner, _ = runner_from(tmp_path / 'c', path)
    with pytest.raises(RuntimeError) as error:
        runner.train()
    assert "no weights that begin with 'backbone.'" in str(error.value)
    assert 'encoder_q.layers.0.conv.weight' in str(error.value)
    assert 'tools/converters' in str(error.value)
