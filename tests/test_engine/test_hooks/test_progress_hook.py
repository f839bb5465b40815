# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
import re
import sys
from types import SimpleNamespace

import pytest
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from pauc_mm.apis.config import build_runner
from pauc_mm.engine.hooks import ProgressHook
from tests.helpers import run_cfg


class _Note(Hook):
    """Every loss and accuracy of a step, and a validation after epoch 1."""

    def __init__(self):
        self.epochs = []

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        if batch_idx == 0:
            self.epochs.append([])
        self.epochs[-1].append(
            {k: v.item() for k, v in outputs.items() if k in ('loss', 'acc_0')}
        )

    def after_train_epoch(self, runner):
        runner.logger.info('an epoch is over')
        runner.logger.warning('beware')
        if runner.epoch == 0:
            more = {f'nemd/measure_{i}': i for i in range(9)}
            metrics = {'knn/k20': 0.123456, 'file': 'a.npz', 'n': 7, **more}
            hook = next(h for h in runner.hooks if type(h) is ProgressHook)
            hook.after_val_epoch(runner, metrics)


def trained(tmp_path, **changes):
    cfg = run_cfg(tmp_path, max_epochs=2, **changes)
    cfg.log_level = 'INFO'
    runner = build_runner(cfg, quiet=True)
    note = _Note()
    runner.register_hook(note)
    runner.train()
    return note, runner


def test_a_line_an_epoch_has_the_means_of_its_steps(tmp_path, capsys):
    note, runner = trained(tmp_path)
    out = capsys.readouterr().out
    log = next(tmp_path.rglob('*.log')).read_text()
    assert 'an epoch is over' in log and 'System environment' in log
    assert 'an epoch is over' not in out and 'System environment' not in out
    assert out.count('beware') == 1  # mmengine warns once
    assert f'{len(runner.train_dataloader.dataset)} images' in out
    assert f'log: {next(tmp_path.rglob("*.log"))}\n' in out
    lines = re.findall(r'^epoch \d/2 .*', out, re.MULTILINE)
    assert [line[:9] for line in lines] == ['epoch 1/2', 'epoch 2/2']
    for line, steps in zip(lines, note.epochs):
        mean = sum(step['loss'] for step in steps) / len(steps)
        shown = float(re.search(r' loss (\S+)', line)[1])
        assert shown == pytest.approx(mean, rel=1e-3)
    assert ' acc_proto' not in lines[0] and ' acc_proto' in lines[1]
    assert ' left' in lines[0] and ' left' not in lines[1]
    assert '           knn/k20 0.1235; n 7; nemd/measure_0' in out
    assert 'measure_8 8' in out and 'a.npz' not in out


def test_the_model_within_a_wrapper_is_named(capsys):
    runner = SimpleNamespace(
        model=nn.parallel.DataParallel(nn.Linear(2, 2)),
        train_dataloader=DataLoader(range(1500), 100),
        logger=SimpleNamespace(handlers=[]),
        epoch=3,
        max_epochs=9,
    )
    ProgressHook().before_train(runner)
    start = (
        'Linear: 1,500 images, 3 of 9 epochs done, 15 steps each, 1 process'
    )
    assert capsys.readouterr().out.startswith(start)


@pytest.mark.parametrize(
    'changes',
    [dict(log_level='ERROR'), dict(log_level='INFO')],
)
def test_the_terminal_has_no_more_than_was_asked_for(tmp_path, changes):
    cfg = run_cfg(tmp_path)
    cfg.merge_from_dict(changes)
    runner = build_runner(cfg, quiet=True)
    for handler in runner.logger.handlers:
        wanted = getattr(logging, changes['log_level'])
        if not isinstance(handler, logging.FileHandler):
            wanted = max(wanted, logging.WARNING)
        assert handler.level == wanted


@pytest.mark.parametrize(
    'loop', [None, dict(type='IterBasedTrainLoop', max_iters=3)]
)
def test_only_epochs_have_lines(tmp_path, loop):
    cfg = run_cfg(tmp_path)
    del cfg.default_hooks.clustering
    cfg.train_cfg = loop
    if loop is None:
        cfg.train_dataloader = cfg.optim_wrapper = cfg.param_scheduler = None
    else:
        cfg.train_dataloader.sampler.type = 'InfiniteSampler'
    runner = build_runner(cfg, quiet=True)
    assert type(runner) is Runner
    assert not any(isinstance(hook, ProgressHook) for hook in runner.hooks)


def test_in_a_terminal_the_line_is_a_bar_first(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('TTY_COMPATIBLE', '1')
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True)
    trained(tmp_path, **{'default_hooks.clustering.features': 'momentum_bank'})
    out = capsys.readouterr().out
    assert out.count('\x1b[?25l') == 2  # a bar hides the cursor
    assert len(re.findall(r'^epoch \d/2 .* s', out, re.MULTILINE)) == 2
