# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The toy experiment from its command line, cut down to a few steps."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.toy import METHODS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def tool():
    path = ROOT / 'tools' / 'analysis' / 'toy_blobs.py'
    spec = importlib.util.spec_from_file_location('toy_blobs', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_small_experiment_from_end_to_end(tool, tmp_path, capsys):
    out = tmp_path / 'out'
    command = ['--small', '--out', str(out)]
    command += ['--methods', 'moco', 'pcl', 'pauc-50-5-1']
    tool.main(command)
    printed, progress = capsys.readouterr()
    assert printed.strip() == (out / 'toy_blobs.md').read_text().strip()
    rows = [line for line in printed.splitlines() if line.startswith('| ')]
    # heading, rule and 3 methods at 2 numbers of classes; less PCL
    assert len(rows) == (2 + 6) + (2 + 4)
    assert 'NEMD does not rank embeddings by itself' in printed
    assert progress.count('void ') == 6 and '[6/6' in progress
    runs = json.loads((out / 'toy_blobs.json').read_text())['runs']
    assert len(runs) == 6
    for run in runs:
        value = run['measures']['nemd_classes']
        label = METHODS[run['method']].label
        row = next(
            line.split('|')
            for line in rows
            if line.split('|')[1].strip() == str(run['classes'])
            and line.split('|')[2].strip() == label
        )
        assert row[3].strip() == f'{value:.3f}'
    picture = np.asarray(Image.open(out / 'toy_blobs.png').convert('RGB'))
    # rows: space and three methods; columns: two numbers of classes
    assert picture.shape[0] > 1.5 * picture.shape[1]
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        near = np.abs(picture.astype(int) - colour).max(axis=2) < 60
        assert near.sum() > 200, colour

    # a second start runs what is new only
    tool.main([*command, 'pauc-literal'])
    printed, progress = capsys.readouterr()
    assert '6 of 8 runs are in' in progress and '[2/2' in progress
    assert METHODS['pauc-literal'].label in printed
    table = [' '.join(line.split()) for line in printed.splitlines()]
    for row in rows[2:8]:
        assert ' '.join(row.split()) in table


@pytest.mark.parametrize(
    'options, message',
    [
        (['--methods', 'pcl', 'pca'], "method 'pca' is unknown: choose from"),
        (['--classes', '1'], 'classes must be integers >= 2, not 1'),
        (['--classes', 'ten'], "invalid int value: 'ten'"),
        (['--classes', '10', '10'], '--classes [10, 10] names one twice'),
        (['--jobs', '0'], '--jobs must be at least 1, not 0'),
        (['--seeds', '-1'], 'seeds must be integers >= 0, not -1'),
        (['--steps', '0'], 'settings.steps must be an integer >= 1'),
        (['--rounds', '4'], 'warmup_rounds=4 leaves none of rounds=4'),
        (['--out', '{file}'], 'is a file: name another with --out'),
    ],
)
def test_wrong_options_end_the_program_with_a_message(
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


def test_stopping_says_that_the_finished_runs_are_kept(
    tool, tmp_path, capsys, monkeypatch
):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(tool, 'perform_all', stop)
    with pytest.raises(SystemExit) as ended:
        tool.main(['--small', '--out', str(tmp_path)])
    assert ended.value.code == 130
    assert 'The finished runs are kept' in capsys.readouterr().err


def test_the_help_names_every_method(tool, capsys):
    with pytest.raises(SystemExit) as ended:
        tool.main(['--help'])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name, method in METHODS.items():
        assert f'{name} ' in text and method.label in text
