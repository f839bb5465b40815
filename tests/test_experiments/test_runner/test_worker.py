# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Real cells of a second: CARP on 48 images of 8 pixels."""

import json
import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from experiments.runner import Cell, CellFolder, config_digest, worker
from pauc_mm.evaluation.functional.checks import as_unit_vectors
from tests.helpers import PLAIN, loader_cfg
from tests.test_engine.test_hooks.test_unique_shares_hook import carp_run

FILE = 'unique_shares.jsonl'


@pytest.fixture(scope='module')
def recipe(tmp_path_factory):
    cfg = carp_run('unused', max_epochs=6).to_dict()
    del cfg['work_dir'], cfg['experiment_name']
    cfg.update(
        custom_imports=dict(imports=['pauc_mm', 'tests.helpers']),
        val_dataloader=loader_cfg(PLAIN, seed=1),
        val_cfg=dict(
            type='EmbeddingValLoop', bank_dataloader=loader_cfg(PLAIN)
        ),
        val_evaluator=[dict(type='KNNAccuracy', k=20)],
    )
    cfg['train_cfg']['val_interval'] = 6
    path = tmp_path_factory.mktemp('recipe') / 'recipe.json'
    path.write_text(json.dumps(cfg))
    return str(path)


def run_cell(folder, cell):
    """As in a process of its own.

    mmengine keeps logger and visualizer of a run by its name, which has the
    second, and two of these runs may begin in one.
    """
    for kept in (Visualizer, MMLogger, MessageHub):
        for name in set(kept._instance_dict) - {'mmengine'}:
            del kept._instance_dict[name]
    return worker.run_cell(folder, cell)


def make(recipe, **options):
    return Cell('cell', recipe, options, dict(seed=0), files=(FILE,))


@pytest.fixture
def quick_log(monkeypatch):
    """yapf takes seconds to lay out a config for the log."""
    monkeypatch.setattr(Config, 'pretty_text', property(repr))


@pytest.fixture(scope='module')
def whole(recipe, tmp_path_factory):
    """Folder and result of a cell that was never stopped."""
    folder = tmp_path_factory.mktemp('whole')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Config, 'pretty_text', property(repr))
        return folder, run_cell(folder, make(recipe))


def test_the_result(whole, recipe):
    folder, result = whole
    assert result == json.loads((folder / 'result.json').read_text())
    assert 0.25 < result['figures']['knn/k20'] <= 1
    assert result['digest'] == config_digest(make(recipe))
    assert result['epochs'] == 6
    assert [r['epoch'] for r in result['records'][FILE]] == [0, 1, 2, 5, 6]
    assert 0 < result['epoch_seconds'] < result['seconds'] < 60
    assert result['epoch_cpu_seconds'] > 0
    assert torch.__version__.startswith(result['versions']['torch'])
    assert result['threads'] == torch.get_num_threads()
    state = CellFolder(folder).state()
    assert (state['epoch'], state['max_epochs']) == (6, 6)
    # All checkpoints are gone but the last.
    assert [p.name for p in folder.glob('*.pth')] == ['epoch_6.pth']
    state = torch.load(folder / 'epoch_6.pth', weights_only=True)
    assert state['meta']['epoch'] == 6


@pytest.mark.usefixtures('quick_log')
def test_a_cell_that_is_done_is_only_read(whole, recipe, monkeypatch):
    folder, result = whole
    monkeypatch.delattr(Runner, 'train')
    assert run_cell(folder, make(recipe)) == result


@pytest.mark.usefixtures('quick_log')
@pytest.mark.parametrize('when', ['training', 'measuring'])
def test_an_interrupted_cell_goes_on(
    whole, recipe, tmp_path, monkeypatch, when
):
    original, trained = Runner.call_hook, []

    def interrupt(self, name, **kwargs):
        original(self, name, **kwargs)
        # With three epochs in the checkpoint; before the last evaluation
        in_training = name == 'before_train_epoch' and self.epoch == 3
        if in_training if when == 'training' else name == 'after_train':
            raise KeyboardInterrupt

    def note(self, name, **kwargs):
        original(self, name, **kwargs)
        if name == 'before_train_epoch':
            trained.append(self.epoch)

    monkeypatch.setattr(Runner, 'call_hook', interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_cell(tmp_path, make(recipe))
    assert not (tmp_path / 'result.json').exists()
    before = CellFolder(tmp_path).state()['seconds']
    monkeypatch.setattr(Runner, 'call_hook', note)
    result = run_cell(tmp_path, make(recipe))
    assert trained == ([3, 4, 5] if when == 'training' else [])
    assert result['seconds'] > before > 0  # of both attempts
    assert result['figures'] == whole[1]['figures']
    assert result['records'] == whole[1]['records']
    left, expected = (
        torch.load(f / 'epoch_6.pth', weights_only=True)['state_dict']
        for f in (tmp_path, whole[0])
    )
    for name, value in expected.items():
        assert torch.equal(left[name], value), name


@pytest.mark.usefixtures('quick_log')
def test_a_changed_config_starts_anew_and_keeps_the_old(recipe, tmp_path):
    short = {'train_cfg.max_epochs': 1}
    old = run_cell(tmp_path, make(recipe, **short))
    for number, lr in ((1, 0.01), (2, 0.02)):
        changed = make(recipe, **short, **{'optim_wrapper.optimizer.lr': lr})
        new = run_cell(tmp_path, changed)
        assert new['digest'] != old['digest']
        # Not resumed: the epoch was trained.
        assert new['epoch_seconds'] > 0
        aside = json.loads((tmp_path / f'result.json.{number}').read_text())
        assert aside == old
        kept = tmp_path / f'replaced.{number}'
        assert (kept / 'epoch_1.pth').is_file()
        state = json.loads((kept / 'state.json').read_text())
        assert state['digest'] == old['digest']
        old = new
    assert CellFolder(tmp_path).result() == new


@pytest.mark.usefixtures('quick_log')
def test_a_divergence_is_an_outcome(recipe, tmp_path, monkeypatch):
    options = {'train_cfg.max_epochs': 1, 'optim_wrapper.optimizer.lr': 1e30}
    result = run_cell(tmp_path, make(recipe, **options))
    assert result['figures'] == result['records'] == {}
    assert 'finite' in result['diverged']
    # Not trained again
    monkeypatch.delattr(Runner, 'train')
    assert run_cell(tmp_path, make(recipe, **options)) == result


@pytest.mark.usefixtures('quick_log')
def test_embeddings_that_become_zero_are_an_outcome(
    recipe, tmp_path, monkeypatch
):
    def measure(runner):
        return dict(a=float(as_unit_vectors(torch.zeros(2, 3)).sum()))

    monkeypatch.setattr(
        'experiments.runner.worker.find_measure', lambda _: measure
    )
    options = {'train_cfg.max_epochs': 1}
    result = run_cell(tmp_path, make(recipe, **options))
    assert result['figures'] == {}
    assert '2 of 2 embeddings have zero norm' in result['diverged']
    monkeypatch.delattr(Runner, 'train')
    assert run_cell(tmp_path, make(recipe, **options)) == result


@pytest.mark.usefixtures('quick_log')
def test_what_stops_a_cell(recipe, tmp_path, monkeypatch):
    cell = Cell('a', recipe, measure='experiments.runner.measures:nothing')
    with pytest.raises(ValueError, match='measures:nothing.*module:function'):
        run_cell(tmp_path, cell)
    message = 'Another process is at work in'
    with CellFolder(tmp_path).locked():
        with pytest.raises(RuntimeError, match=message):
            run_cell(tmp_path, make(recipe))
    monkeypatch.setattr(
        'experiments.runner.measures.validate',
        lambda runner: {'x': float('nan')},
    )
    short = {'train_cfg.max_epochs': 1}
    with pytest.raises(RuntimeError, match='The figures x are not finite'):
        run_cell(tmp_path, make(recipe, **short))
    assert not (tmp_path / 'result.json').exists()


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write anywhere')
def test_a_folder_that_cannot_be_written(recipe, tmp_path):
    Path(tmp_path).chmod(0o500)
    with pytest.raises(PermissionError):
        run_cell(tmp_path / 'x', make(recipe))
