# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The toy experiment from its command line, cut down to a few steps."""

import json

import numpy as np
import pytest
from PIL import Image

from experiments import toy_blobs
from experiments.toy import METHODS


@pytest.mark.program
def test_the_small_experiment_from_end_to_end(tmp_path, capsys):
    out = tmp_path / 'out'
    command = ['--small', '--out', str(out)]
    command += ['--methods', 'moco', 'pcl', 'pauc-50-5-1']
    toy_blobs.main(command)
    printed, progress = capsys.readouterr()
    assert printed.strip() == (out / 'toy_blobs.md').read_text().strip()
    rows = [line for line in printed.splitlines() if line.startswith('| ')]
    # heading, rule and 3 methods at 2 numbers of classes; less PCL
    assert len(rows) == (2 + 6) + (2 + 4)
    assert 'NEMD does not rank embeddings by itself' in printed
    assert '[6/6]' in progress
    results = json.loads((out / 'toy_blobs.json').read_text())
    assert len(results) == 6
    for result in results:
        value = result['metrics']['nemd_classes']
        setting = result['run']['setting']
        label = METHODS[setting['method']].label
        row = next(
            line.split('|')
            for line in rows
            if line.split('|')[1].strip() == str(setting['classes'])
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
    toy_blobs.main([*command, 'pauc-literal'])
    printed, progress = capsys.readouterr()
    assert '6 of 8 runs are done already' in progress
    assert '[2/2]' in progress
    assert METHODS['pauc-literal'].label in printed
    table = [' '.join(line.split()) for line in printed.splitlines()]
    for row in rows[2:8]:
        assert ' '.join(row.split()) in table


@pytest.mark.parametrize(
    'options, message',
    [
        (['--methods', 'pcl', 'pca'], "--methods: 'pca'"),
        (['--classes', '1'], '--classes: must be >= 2'),
        (['--classes', '10', '10'], '--classes 10 10'),
        (['--jobs', '0'], '--jobs: must be >= 1'),
        (['--steps', '0'], 'settings.steps must be an integer >= 1'),
        (['--rounds', '4'], 'rounds=4'),
        (['--out', '{file}'], '--out'),
    ],
)
def test_wrong_options_end_the_program_with_a_message(
    tmp_path, capsys, options, message
):
    file = tmp_path / 'file'
    file.write_text('x')
    options = [option.format(file=file) for option in options]
    if '--out' not in options:
        options += ['--out', str(tmp_path / 'out')]
    with pytest.raises(SystemExit) as ended:
        toy_blobs.main(options)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_the_help_names_every_method(capsys):
    with pytest.raises(SystemExit) as ended:
        toy_blobs.main(['--help'])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name, method in METHODS.items():
        assert f'{name} ' in text and method.label in text
