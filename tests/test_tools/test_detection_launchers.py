# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The scripts that fine-tune, with stand-ins for programs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
FOLDERS = [TOOLS / f'benchmarks/{n}' for n in ('classification', 'detection')]
SCRIPTS = ['dist_train.sh', 'slurm_train.sh']

# Prints what it was started with, but runs short programs for the scripts.
STAND_IN = """#!/usr/bin/env bash
if [[ $1 == -c ]]; then exec {python} "$@"; fi
printf '%s\\n' "$@"
"""


@pytest.fixture(params=FOLDERS, ids=lambda path: path.name)
def folder(request):
    return request.param


@pytest.fixture
def run(tmp_path, folder):
    for name in ('python', 'srun'):
        path = tmp_path / name
        path.write_text(STAND_IN.format(python=sys.executable))
        path.chmod(0o755)

    def start(script, *args, **env):
        clean = {k: v for k, v in os.environ.items() if k != 'PYTHON'}
        clean['PATH'] = f'{tmp_path}:{clean["PATH"]}'
        return subprocess.run(
            ['bash', str(folder / script), *args],
            env={**clean, **env},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
        )

    return start


def test_there_are_two(folder):
    assert sorted(path.name for path in folder.glob('*.sh')) == SCRIPTS


@pytest.mark.parametrize('script', SCRIPTS)
def test_scripts_parse_and_say_how_to_use_them(script, folder, run):
    subprocess.run(['bash', '-n', str(folder / script)], check=True)
    assert os.access(folder / script, os.X_OK)
    for args in ([], ['--help'], ['c.py', 'x.pth']):
        result = run(script, *args)
        assert result.returncode == 2 and not result.stdout
        assert f'bash tools/benchmarks/{folder.name}/{script}' in result.stderr
        assert 'CONFIG CHECKPOINT' in result.stderr


def test_dist_train(run, folder):
    result = run(
        'dist_train.sh', 'a c.py', 'x y.pth', '2', '--amp', PORT='1234'
    )
    assert result.returncode == 0, result.stderr
    words = result.stdout.splitlines()
    assert '--nproc_per_node=2' in words and '--master_port=1234' in words
    script = words[words.index('a c.py') - 1]
    assert Path(script).resolve() == folder / 'train.py'
    rest = ['a c.py', 'x y.pth', '--launcher', 'pytorch', '--amp']
    assert words[-5:] == rest


def test_number_of_processes(run):
    result = run('dist_train.sh', 'c.py', 'x.pth', 'eight')
    assert result.returncode == 2 and "not 'eight'" in result.stderr


def test_slurm_train(run, folder):
    result = run('slurm_train.sh', 'gpu', 'job', 'c.py', 'x.pth', 'out')
    assert result.returncode == 0, result.stderr
    words = result.stdout.splitlines()
    assert words[:3] == ['-p', 'gpu', '--job-name=job']
    assert Path(words[words.index('c.py') - 1]) == folder / 'train.py'
    assert words[-6:] == [
        'c.py',
        'x.pth',
        '--work-dir',
        'out',
        '--launcher',
        'slurm',
    ]
