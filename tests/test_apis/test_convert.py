# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The three programs, as a user calls them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pauc_mm.apis import convert
from tests.test_checkpoints.source_models import wrapped
from tests.test_checkpoints.test_converters.helpers import (
    load,
    openmm_resnet,
    saved,
)

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'tools' / 'converters'
NAMES = ('extract_backbone', 'to_mmpretrain', 'to_torchvision')


def tool(name):
    return getattr(convert, name)


def test_these_are_all():
    assert {p.stem for p in FOLDER.glob('*.py')} == set(NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_help_and_wrong_input(name, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        tool(name)(['--help'])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f'C=tools/converters/{name}.py' in text and '--momentum' in text
    with pytest.raises(SystemExit) as ended:
        tool(name)([str(tmp_path / 'no.pth'), str(tmp_path / 'x.pth')])
    assert str(ended.value.code).startswith(f'{name}: There is no checkpoint')


@pytest.mark.slow
def test_there_and_back(tmp_path, capsys):
    model = openmm_resnet()
    state = wrapped(model, 'backbone.')
    path = saved(tmp_path, dict(meta=dict(epoch=7), state_dict=state))
    for name, source, target in (
        ('extract_backbone', path.name, 'a.pth'),
        ('to_torchvision', 'a.pth', 'b.pth'),
        ('to_mmpretrain', 'b.pth', 'c.pth'),
    ):
        source, target = str(tmp_path / source), str(tmp_path / target)
        tool(name)([source, target])
        text = capsys.readouterr().out
        assert 'largest difference' in text
        assert f'wrote {target}: 120 tensors, 44.' in text
        with pytest.raises(SystemExit, match='--force'):
            tool(name)([source, target])
    tool(name)([source, target, '--force'])
    meta = load(tmp_path / 'c.pth')['meta']
    assert meta['previous']['previous']['epoch'] == 7


@pytest.mark.slow
def test_from_another_folder(tmp_path):
    path = saved(tmp_path, openmm_resnet().state_dict(), 'r.pth')
    command = [sys.executable, FOLDER / 'to_mmpretrain.py', 'r.pth', 'o.pth']
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(
        command, cwd=path.parent, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "prefix='backbone.'" in done.stdout
