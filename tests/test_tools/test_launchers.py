# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The shell scripts, with stand-ins for the programs that they start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
SCRIPTS = sorted(path.name for path in TOOLS.glob('*.sh'))

# Prints what it was started with, but runs short programs for the scripts.
STAND_IN = """#!/usr/bin/env bash
if [[ $1 == -c ]]; then exec {python} "$@"; fi
echo "OMP=$OMP_NUM_THREADS"
echo "PYTHONPATH=$PYTHONPATH"
printf '%s\\n' "$@"
"""


@pytest.fixture
def stand_in(tmp_path):
    """A folder with stand-ins named python and srun."""
    for name in ('python', 'srun'):
        path = tmp_path / name
        path.write_text(STAND_IN.format(python=sys.executable))
        path.chmod(0o755)
    return tmp_path


def run(script, *args, folder, cwd='/', **env):
    clean = {
        key: value
        for key, value in os.environ.items()
        if key not in ('OMP_NUM_THREADS', 'PYTHONPATH', 'PORT', 'PYTHON')
    }
    clean['PATH'] = f'{folder}:{clean["PATH"]}'
    return subprocess.run(
        ['bash', str(TOOLS / script), *args],
        env={**clean, **env},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
    )


def words(result):
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.parametrize('script', SCRIPTS)
def test_scripts_parse_and_are_executable(script):
    path = TOOLS / script
    subprocess.run(['bash', '-n', str(path)], check=True)
    if not script.endswith('_common.sh'):
        assert os.access(path, os.X_OK)


@pytest.mark.parametrize(
    'script',
    ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'],
)
@pytest.mark.parametrize('args', [[], ['--help']])
def test_usage(script, args, stand_in):
    result = run(script, *args, folder=stand_in)
    assert result.returncode == 2
    assert result.stdout == ''
    assert f'usage: [NAME=VALUE ...] bash tools/{script}' in result.stderr


def test_dist_train(stand_in, tmp_path):
    result = run(
        'dist_train.sh',
        'a config.py',
        '1',
        '--cfg-options',
        'a=[1, 2]',
        folder=stand_in,
        cwd=tmp_path,
    )
    out = words(result)
    assert out[0] == f'OMP={len(os.sched_getaffinity(0))}'
    assert out[1] == f'PYTHONPATH={TOOLS}/..'
    assert out[2:7] == [
        '-m',
        'torch.distributed.run',
        '--nnodes=1',
        '--node_rank=0',
        '--nproc_per_node=1',
    ]
    assert out[7] == '--master_addr=127.0.0.1'
    assert 1024 <= int(out[8].partition('=')[2]) < 65536
    assert out[9:] == [
        f'{TOOLS}/train.py',
        'a config.py',
        '--launcher',
        'pytorch',
        '--cfg-options',
        'a=[1, 2]',
    ]


def test_dist_train_on_several_nodes(stand_in):
    out = words(
        run(
            'dist_train.sh',
            'c.py',
            '8',
            folder=stand_in,
            NNODES='4',
            NODE_RANK='3',
            MASTER_ADDR='10.0.0.1',
            OMP_NUM_THREADS='5',
            PYTHONPATH='/mine',
        )
    )
    assert out[:2] == ['OMP=5', f'PYTHONPATH={TOOLS}/..:/mine']
    assert out[4:9] == [
        '--nnodes=4',
        '--node_rank=3',
        '--nproc_per_node=8',
        '--master_addr=10.0.0.1',
        '--master_port=29500',
    ]


def test_more_processes_than_cores_get_one_thread_each(stand_in):
    assert words(run('dist_train.sh', 'c.py', '4096', folder=stand_in))[
        0
    ].endswith('=1')


def test_dist_test(stand_in):
    out = words(
        run('dist_test.sh', 'c.py', 'none', '2', folder=stand_in, PORT='1234')
    )
    assert '--master_port=1234' in out
    assert out[-5:] == [
        f'{TOOLS}/test.py',
        'c.py',
        'none',
        '--launcher',
        'pytorch',
    ]


@pytest.mark.parametrize('processes', ['0', 'two', '-1', ''])
def test_number_of_processes(processes, stand_in):
    result = run('dist_train.sh', 'c.py', processes, folder=stand_in)
    assert result.returncode == 2
    assert f"not '{processes}'" in result.stderr


def test_slurm_train(stand_in):
    result = run(
        'slurm_train.sh',
        'gpu',
        'my job',
        'c.py',
        'out',
        '--resume',
        folder=stand_in,
        GPUS='4',
        SRUN_ARGS='--qos low',
    )
    out = words(result)
    assert out[2:] == [
        '-p',
        'gpu',
        '--job-name=my job',
        '--gres=gpu:4',
        '--ntasks=4',
        '--ntasks-per-node=4',
        '--cpus-per-task=5',
        '--kill-on-bad-exit=1',
        '--qos',
        'low',
        'python',
        '-u',
        f'{TOOLS}/train.py',
        'c.py',
        '--work-dir',
        'out',
        '--launcher',
        'slurm',
        '--resume',
    ]


def test_slurm_test(stand_in):
    out = words(
        run('slurm_test.sh', 'gpu', 'j', 'c.py', 'none', folder=stand_in)
    )
    assert '--ntasks=8' in out
    assert out[-5:] == [
        f'{TOOLS}/test.py',
        'c.py',
        'none',
        '--launcher',
        'slurm',
    ]
