# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import re
from types import SimpleNamespace

import pytest
import torch
from mmengine.dist import get_rank
from mmengine.runner import Runner

from pauc_mm.engine.hooks import DivergenceHook, divergence_hook
from tests.helpers import run_cfg, run_ranks

NAN = float('nan')


def diverging(work_dir, spoil, **changes):
    """A run in which ``spoil(runner, outputs)`` follows each step."""
    hook = dict(type='DivergenceHook')
    changes = {'default_hooks.divergence': hook, **changes}
    runner = Runner.from_cfg(run_cfg(work_dir, 'PCL', **changes))
    step = runner.model.train_step

    def train_step(*args, **kwargs):
        outputs = step(*args, **kwargs)
        spoil(runner, outputs)
        return outputs

    runner.model.train_step = train_step
    return runner


def spoil_weights(runner):
    next(runner.model.backbone.parameters()).data[0] = NAN


def left(work_dir):
    return sorted(path.name for path in work_dir.glob('*.pth'))


@pytest.mark.parametrize('value', [NAN, float('inf')])
def test_a_training_stops_at_the_first_loss_that_is_not_finite(
    tmp_path, value
):
    def spoil(runner, outputs):
        if runner.iter == 4:  # the second of three steps of epoch 2
            outputs['loss'] = outputs['loss'] * value
            outputs['acc'] = torch.tensor(0.5)

    runner = diverging(tmp_path, spoil)
    with pytest.raises(
        FloatingPointError, match=rf'epoch 2, iteration 5: loss={value}.*\.lr'
    ):
        runner.train()
    assert runner.iter == 4
    assert left(tmp_path) == ['epoch_1.pth']


def test_without_the_log(tmp_path):
    def spoil(runner, outputs):
        outputs['loss'] = outputs['loss'] * NAN

    runner = diverging(tmp_path, spoil, **{'default_hooks.runtime_info': None})
    with pytest.raises(FloatingPointError, match='loss=nan'):
        runner.train()


def test_losses_without_a_total_and_other_outputs(tmp_path):
    def spoil(runner, outputs):
        outputs.clear()
        outputs.update({'loss_d': 1.0, 'net.loss_g': torch.tensor(1.0)})
        outputs['psnr'] = NAN
        if runner.iter == 2:
            outputs['net.loss_g'] = torch.tensor(NAN)

    with pytest.raises(
        FloatingPointError, match='iteration 3: .*net.loss_g=nan'
    ):
        diverging(tmp_path, spoil).train()


@pytest.mark.slow
def test_weights_that_diverge_in_the_last_step_replace_no_checkpoint(tmp_path):
    def spoil(runner, outputs):
        if runner.iter == 5:
            spoil_weights(runner)

    runner = diverging(
        tmp_path, spoil, **{'default_hooks.checkpoint.max_keep_ckpts': 1}
    )
    with pytest.raises(
        FloatingPointError, match='iteration 6: .*backbone.layers.0.conv.weig'
    ):
        runner.train()
    assert left(tmp_path) == ['epoch_1.pth']
    runner = diverging(tmp_path, lambda *_: None, resume=True)
    runner.train()
    assert runner.epoch == 4


@pytest.mark.parametrize('part', ['state_dict', 'ema_state_dict'])
def test_weights_that_are_not_finite_are_not_saved(part):
    checkpoint = dict(
        meta=dict(iter=7, epoch=2), state_dict=dict(good=torch.ones(2))
    )
    DivergenceHook().before_save_checkpoint(None, checkpoint)
    checkpoint[part] = dict(neck=torch.tensor([1.0, NAN]))
    with pytest.raises(FloatingPointError, match='iteration 7: .*neck'):
        DivergenceHook().before_save_checkpoint(None, checkpoint)


def stop_of(work_dir, changes):
    """Where a rank stops if the losses of rank 1 alone become NaN."""

    def spoil(runner, outputs):
        if get_rank() == 1 and runner.iter >= 1:
            outputs['loss'] = outputs['loss'] * NAN

    runner = diverging(work_dir, spoil, **changes)
    try:
        runner.train()
    except (FloatingPointError, RuntimeError) as error:
        return runner.iter + 1, type(error).__name__, str(error)


@pytest.mark.parametrize(
    'interval, stop', [pytest.param(1, 2, marks=pytest.mark.slow), (50, 3)]
)
def test_all_ranks_stop_in_the_same_step(tmp_path, interval, stop):
    changes = {
        'launcher': 'none',
        'train_dataloader.batch_size': 8,
        'default_hooks.divergence.interval': interval,
    }
    (at, kind, text), other = run_ranks(
        stop_of, 2, tmp_path / 'ranks', tmp_path / 'run', changes
    )
    assert (at, kind) == (stop, 'RuntimeError')
    assert re.search('rank 1: FloatingPointError.*iteration 2: loss=nan', text)
    assert other[:2] == (stop, 'FloatingPointError')


@pytest.mark.parametrize(
    'interval, length, last, compared',
    [
        (4, 100, 10, [4, 8, 10]),  # the last iteration of a loop of them
        (50, 3, 6, [3, 6]),
        (4, 3, 6, [3, 4, 6]),
        (None, 200, 120, [50, 100, 120]),
    ],
)
def test_when_processes_compare_notes(
    monkeypatch, interval, length, last, compared
):
    seen = []
    monkeypatch.setattr(divergence_hook, 'get_world_size', lambda: 2)
    monkeypatch.setattr(
        divergence_hook,
        'raise_together',
        lambda error, what: seen.append((runner.iter + 1, str(error))),
    )
    hook = DivergenceHook(*[] if interval is None else [interval])
    runner = SimpleNamespace(
        message_hub=SimpleNamespace(log_scalars={}),
        train_dataloader=range(length),
        max_iters=last,
        epoch=0,
        iter=0,
    )
    hook.after_train_iter(runner, 0)  # a step that returned nothing
    for runner.iter in range(last):
        # The first to diverge is told, although others follow, and not all.
        value = NAN if runner.iter in (1, 2) else 1.0
        outputs = dict(loss=torch.tensor(value), acc=torch.tensor(NAN))
        hook.after_train_iter(runner, runner.iter % length, None, outputs)
    assert [at for at, _ in seen] == compared
    for _, error in seen:
        assert 'epoch 1, iteration 2: loss=nan.' in error
