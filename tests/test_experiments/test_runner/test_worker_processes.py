# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A cell in two processes without a GPU: CARP on 48 images of 8 pixels."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from experiments.runner import Cell, CellFolder, config_digest
from experiments.runner.cell_process import WORKER, worker_command
from experiments.runner.measures import validate
from experiments.runner.worker import run_cell
from tests.helpers import PLAIN, loader_cfg, run_ranks
from tests.test_engine.test_hooks.test_unique_shares_hook import carp_run

ROOT = Path(__file__).resolve().parents[3]
FILE = 'unique_shares.jsonl'
MEASURE = f'{__name__}:measure'
EPOCHS = 2
CPU = pytest.mark.skipif(
    torch.cuda.is_available(), reason='for machines without'
)


@pytest.fixture(scope='module')
def recipe(tmp_path_factory):
    cfg = carp_run('unused', max_epochs=EPOCHS).to_dict()
    del cfg['work_dir'], cfg['experiment_name']
    cfg.update(
        custom_imports=dict(imports=['pauc_mm', 'tests.helpers']),
        val_dataloader=loader_cfg(PLAIN, seed=1),
        val_cfg=dict(
            type='EmbeddingValLoop', bank_dataloader=loader_cfg(PLAIN)
        ),
        val_evaluator=[dict(type='KNNAccuracy', k=20)],
    )
    cfg['train_cfg']['val_interval'] = EPOCHS
    # 48 images, 8 a process: 3 steps an epoch of two, 6 of one.
    cfg['train_dataloader']['batch_size'] = 8
    path = tmp_path_factory.mktemp('recipe') / 'recipe.json'
    path.write_text(json.dumps(cfg))
    return str(path)


def measure(runner):
    """The recipe's own, in all processes; fails where a file says so."""
    if Path(runner.work_dir, 'fail').exists():
        raise KeyboardInterrupt
    return validate(runner)


def attempt(folder, text):
    """What ``run_cell`` returns or raises, and the epochs that it trained."""
    original, trained = Runner.call_hook, []

    def note(self, name, **kwargs):
        original(self, name, **kwargs)
        if name == 'before_train_epoch':
            trained.append(self.epoch)

    Config.pretty_text = property(repr)  # takes seconds otherwise
    Runner.call_hook = note
    try:
        outcome = run_cell(folder, Cell.from_json(text))
    except (Exception, KeyboardInterrupt) as error:
        outcome = f'{type(error).__name__}: {error}'
    finally:
        Runner.call_hook = original
    return outcome, trained


def make(recipe, **changes):
    return Cell('cell', recipe, place=dict(seed=0), files=(FILE,), **changes)


@CPU
def test_interrupted_in_two_processes_and_gone_on_with(recipe, tmp_path):
    folder = tmp_path / 'cell'
    text = make(recipe, measure=MEASURE).to_json()
    folder.mkdir()
    state = dict(digest=config_digest(Cell.from_json(text)))
    CellFolder(folder).write_state(**state)
    (folder / 'fail').touch()
    for outcome, trained in run_ranks(
        attempt, 2, tmp_path / '1', folder, text
    ):
        assert (outcome, trained) == ('KeyboardInterrupt: ', [0, 1])
    assert not (folder / 'result.json').exists()
    state = CellFolder(folder).state()
    assert (state['epoch'], state['max_epochs']) == (2, 2)
    (folder / 'fail').unlink()

    runs = run_ranks(attempt, 2, tmp_path / '2', folder, text)
    stored = json.loads((folder / 'result.json').read_text())
    assert runs == [(stored, [])] * 2
    assert (stored['processes'], stored['gpus']) == (2, 0)
    assert stored['seconds'] > state['seconds'] > 0
    checkpoint = torch.load(folder / 'epoch_2.pth', weights_only=True)
    assert checkpoint['meta']['iter'] == EPOCHS * 3  # the images were shared
    assert [p.name for p in folder.glob('*.pth')] == ['epoch_2.pth']
    # Done: only read.
    assert run_ranks(attempt, 2, tmp_path / '3', folder, text) == runs


@CPU
def test_what_the_first_process_meets_all_hear_of(recipe, tmp_path):
    text = make(recipe).to_json()
    with CellFolder(tmp_path / 'cell').locked():
        first, second = run_ranks(
            attempt, 2, tmp_path / '1', tmp_path / 'cell', text
        )
    message = 'Another process is at work in'
    assert first[0].startswith(f'RuntimeError: {message}')
    assert second[0].startswith('RuntimeError: Preparing the cell failed on')
    assert f'rank 0: RuntimeError: {message}' in second[0]
    assert first[1] == second[1] == []


# ---- by the command, as the scheduler starts it ----------------------------
@CPU
def test_torchrun_runs_a_cell(recipe, tmp_path):
    cell = make(recipe)
    command = [*worker_command(2), str(tmp_path), cell.to_json()]
    env = {**os.environ, 'OMP_NUM_THREADS': '2', 'PYTHONPATH': str(ROOT)}
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_PORT'):
        env.pop(name, None)
    ended = subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    result = CellFolder(tmp_path).finished(config_digest(cell))
    assert (result['processes'], result['gpus']) == (2, 0)
    assert result['threads'] == 1  # its half
    assert 0.25 < result['figures']['knn/k20'] <= 1
    assert [r['epoch'] for r in result['records'][FILE]] == [0, 1, 2]
    state = CellFolder(tmp_path).state()
    assert (state['epoch'], state['max_epochs']) == (2, 2)


def test_the_command():
    assert worker_command(1) == WORKER
    assert WORKER == (sys.executable, '-m', 'experiments.runner.worker')
    command = worker_command(8)
    assert command[:3] == (sys.executable, '-m', 'torch.distributed.run')
    assert {'--standalone', '--nproc_per_node=8'} <= set(command)
    assert command[-2:] == ('-m', 'experiments.runner.worker')
    with pytest.raises(ValueError, match='gpus=0 must be at least 1'):
        worker_command(0)


def test_a_world_size_that_torchrun_did_not_set(recipe, monkeypatch):
    from experiments.runner.processes import join_processes

    for name in ('WORLD_SIZE', 'RANK'):  # as in the pods of some clusters
        monkeypatch.setenv(name, '4')
    monkeypatch.delenv('TORCHELASTIC_RUN_ID', raising=False)
    assert join_processes(make(recipe)) == 'none'
