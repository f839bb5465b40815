# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Real runs of a second: CARP on 48 images of 8 pixels."""

import json
import os
from pathlib import Path

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from experiments.runner import ConfigRun, config_run, worker
from experiments.runner.scheduler import WorkerProcesses
from experiments.runner.store import RunFolder
from pauc_mm.evaluation.functional.checks import as_unit_vectors
from tests.helpers import PLAIN, loader_cfg
from tests.test_experiments.test_runner.test_unique_shares_hook import carp_run

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


def execute(path, run):
    """Run a prepared worker and return what it stores.

    mmengine keeps logger and visualizer of a run by its name, which has the
    second, and two of these runs may begin in one.
    """
    for kept in (Visualizer, MMLogger, MessageHub):
        for name in set(kept._instance_dict) - {'mmengine'}:
            del kept._instance_dict[name]
    folder, digest = RunFolder(path), run.digest()
    folder.prepare(digest)
    worker.execute(path, run, digest)
    return folder.finished(digest)


def make(recipe, **options):
    return ConfigRun('a', dict(seed=0), recipe, options, files=(FILE,))


@pytest.fixture(scope='module')
def whole(recipe, tmp_path_factory):
    """Folder and result of a run that was never stopped."""
    folder = tmp_path_factory.mktemp('whole')
    return folder, execute(folder, make(recipe))


def test_the_result(whole, recipe):
    folder, result = whole
    assert 0.25 < result.metrics['knn/k20'] <= 1
    assert result.digest == make(recipe).digest()
    assert result.epochs == 6 and result.processes == 1
    assert [r['epoch'] for r in result.records[FILE]] == [0, 1, 2, 5, 6]
    assert 0 < result.epoch_seconds < result.seconds
    assert result.epoch_cpu_seconds > 0
    assert torch.__version__.startswith(result.versions['torch'])
    assert result.threads == torch.get_num_threads()
    state = RunFolder(folder).state()
    assert (state['epoch'], state['max_epochs']) == (6, 6)
    # All checkpoints are gone but the last.
    assert [p.name for p in folder.glob('*.pth')] == ['epoch_6.pth']
    state = torch.load(folder / 'epoch_6.pth', weights_only=True)
    assert state['meta']['epoch'] == 6


@pytest.mark.parametrize('when', ['training', 'measuring'])
def test_an_interrupted_run_is_resumed(
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
        execute(tmp_path, make(recipe))
    assert not (tmp_path / 'result.json').exists()
    before = RunFolder(tmp_path).state()['seconds']
    monkeypatch.setattr(Runner, 'call_hook', note)
    result = execute(tmp_path, make(recipe))
    assert trained == ([3, 4, 5] if when == 'training' else [])
    assert result.seconds > before > 0  # of both attempts
    assert result.epochs == 6
    assert result.metrics == whole[1].metrics
    assert result.records == whole[1].records
    left, expected = (
        torch.load(f / 'epoch_6.pth', weights_only=True)['state_dict']
        for f in (tmp_path, whole[0])
    )
    for name, value in expected.items():
        assert torch.equal(left[name], value), name


def test_a_divergence_is_an_outcome(recipe, tmp_path):
    options = {'train_cfg.max_epochs': 1, 'optim_wrapper.optimizer.lr': 1e30}
    result = execute(tmp_path, make(recipe, **options))
    assert result.metrics == result.records == {}
    assert 'finite' in result.diverged


def test_zero_embeddings_are_an_outcome(recipe, tmp_path, monkeypatch):
    def measure(runner):
        return dict(a=float(as_unit_vectors(torch.zeros(2, 3)).sum()))

    monkeypatch.setattr(config_run, 'find_object', lambda _: measure)
    result = execute(tmp_path, make(recipe, **{'train_cfg.max_epochs': 1}))
    assert result.metrics == {}
    assert '2 of 2 embeddings' in result.diverged


def test_errors_of_a_run(recipe, tmp_path, monkeypatch):
    run = ConfigRun('a', {}, recipe, measure='experiments.runner:nothing')
    with pytest.raises(ValueError, match='experiments.runner:nothing'):
        execute(tmp_path, run)
    folder = RunFolder(tmp_path)
    with folder.locked():
        with pytest.raises(RuntimeError, match='Another process'):
            execute(tmp_path, make(recipe))
    with pytest.raises(ValueError, match='config has changed'):
        worker.execute(tmp_path, make(recipe), 'another')
    monkeypatch.setattr(
        config_run, 'validate', lambda runner: {'x': float('nan')}
    )
    short = {'train_cfg.max_epochs': 1}
    with pytest.raises(RuntimeError, match='metrics x are not finite'):
        execute(tmp_path, make(recipe, **short))
    assert folder.result() is None


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write anywhere')
def test_a_folder_that_cannot_be_written(recipe, tmp_path):
    Path(tmp_path).chmod(0o500)
    with pytest.raises(PermissionError):
        execute(tmp_path / 'x', make(recipe))


# ---- two processes, as the scheduler starts them ----------------------------
@pytest.mark.program
@pytest.mark.skipif(torch.cuda.is_available(), reason='CPU processes')
def test_two_processes_of_torchrun(recipe, tmp_path):
    # 48 images, 8 a process: 3 steps an epoch.
    run = make(
        recipe,
        **{
            'train_cfg.max_epochs': 2,
            'train_cfg.val_interval': 2,
            'train_dataloader.batch_size': 8,
        },
    )
    folder, digest = RunFolder(tmp_path), run.digest()
    folder.prepare(digest)
    WorkerProcesses(1, gpus=2)(run, folder, digest)
    result = folder.finished(digest)
    assert (result.processes, result.gpus) == (2, 0)
    assert 0.25 < result.metrics['knn/k20'] <= 1
    assert [r['epoch'] for r in result.records[FILE]] == [0, 1, 2]
    assert [p.name for p in tmp_path.glob('*.pth')] == ['epoch_2.pth']
    checkpoint = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    assert checkpoint['meta']['iter'] == 6  # the images were shared
    # An error of any process ends all, and is in the log.
    with folder.locked():
        with pytest.raises(RuntimeError, match='Another process'):
            WorkerProcesses(1, gpus=2)(run, folder, digest)


def test_variables_of_a_cluster_do_not_count(monkeypatch):
    for name in ('WORLD_SIZE', 'RANK'):
        monkeypatch.setenv(name, '4')
    monkeypatch.delenv('TORCHELASTIC_RUN_ID', raising=False)
    assert worker._is_first() and config_run._launcher() == 'none'
