# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The program, as a user calls it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pauc_mm.apis.export import main
from pauc_mm.checkpoints.converters import FORMATS
from tests.test_checkpoints.source_models import wrapped
from tests.test_checkpoints.test_converters.helpers import (
    load,
    openmm_resnet,
    saved,
)

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/converters/export.py'


def test_help_names_every_format(capsys):
    with pytest.raises(SystemExit) as ended:
        main(['--help'])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(f'\n  {name} ' in text for name in FORMATS)
    assert '--momentum' in text


@pytest.mark.parametrize('to', FORMATS)
def test_wrong_input(to, tmp_path):
    files = [str(tmp_path / name) for name in ('no.pth', 'x')]
    with pytest.raises(SystemExit, match='^export: There is no checkpoint'):
        main([*files, '--to', to])


def test_a_format_is_always_named(tmp_path, capsys):
    """x.onnx would else become a file of another kind."""
    with pytest.raises(SystemExit) as ended:
        main(['a.pth', str(tmp_path / 'x.onnx')])
    assert ended.value.code == 2 and '--to' in capsys.readouterr().err


@pytest.mark.slow
def test_there_and_back(tmp_path, capsys):
    model = openmm_resnet()
    state = wrapped(model, 'backbone.')
    path = saved(tmp_path, dict(meta=dict(epoch=7), state_dict=state))
    for to, source, target in (
        ('mmpretrain', path.name, 'a.pth'),
        ('torchvision', 'a.pth', 'b.pth'),
        ('mmpretrain', 'b.pth', 'c.pth'),
    ):
        argv = [str(tmp_path / source), str(tmp_path / target), '--to', to]
        main(argv)
        text = capsys.readouterr().out
        assert 'largest difference' in text
        assert f'wrote {argv[1]}: 120 tensors, 44.' in text
        with pytest.raises(SystemExit, match='--force'):
            main(argv)
    main([*argv, '--force'])
    meta = load(tmp_path / 'c.pth')['meta']
    assert meta['previous']['previous']['epoch'] == 7


@pytest.mark.slow
def test_from_another_folder(tmp_path):
    path = saved(tmp_path, openmm_resnet().state_dict(), 'r.pth')
    command = [sys.executable, TOOL, 'r.pth', 'o.pth', '--to', 'mmpretrain']
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(
        command, cwd=path.parent, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "prefix='backbone.'" in done.stdout
