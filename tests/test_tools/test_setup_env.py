# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""tools/setup_env.sh, with a pip that only writes down what it is asked."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Stands for bin/python of an environment. {real} lies beside it, so that
# sys.prefix is right.
PYTHON = """#!/usr/bin/env bash
if [[ $1 == -m && $2 == pip ]]; then
    if [[ $3 == --version ]]; then echo 'pip 24.0 from here'; exit; fi
    echo "$*" >>"$PIP_LOG"
    while [[ $# -gt 0 ]]; do
        if [[ $1 == -c ]]; then cp "$2" "$PIP_LOG.constraints"; fi
        shift
    done
    exit "${{PIP_STATUS:-0}}"
fi
exec {real} "$@"
"""


@pytest.fixture
def repo(tmp_path):
    """A copy of what the script reads, at a path with a space."""
    repo = tmp_path / 'a repo'
    (repo / 'tools').mkdir(parents=True)
    shutil.copy(ROOT / 'tools' / 'setup_env.sh', repo / 'tools')
    shutil.copytree(ROOT / 'requirements', repo / 'requirements')
    (repo / 'pauc_mm').mkdir()
    shutil.copy(ROOT / 'pauc_mm' / 'version.py', repo / 'pauc_mm')
    for name in ('setup.py', 'pyproject.toml'):
        shutil.copy(ROOT / name, repo)
    return repo


def make_env(path):
    """An empty virtual environment with the stand-in for python."""
    command = [sys.executable, '-m', 'venv', '--without-pip', str(path)]
    subprocess.run(command, check=True)
    real = path / 'bin' / 'python_real'
    python = path / 'bin' / 'python'
    real.symlink_to(os.path.realpath(python))
    python.unlink()
    python.write_text(PYTHON.format(real=f'"{real}"'))
    python.chmod(0o755)
    return path


@pytest.fixture
def env(tmp_path):
    return make_env(tmp_path / 'env')


def pretend_installed(env, name, version):
    """Adds metadata of a distribution to an environment."""
    packages = next((env / 'lib').glob('python*/site-packages'))
    folder = packages / f'{name}-{version}.dist-info'
    folder.mkdir()
    text = f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
    (folder / 'METADATA').write_text(text)


def run(repo, *groups, active=None, **env):
    """Runs the script and returns the result and what pip was asked."""
    log = repo.parent / 'pip.log'
    log.unlink(missing_ok=True)
    keep = ('PATH', 'HOME', 'TMPDIR', 'LANG')
    clean = {key: os.environ[key] for key in keep if key in os.environ}
    if active is not None:
        clean['VIRTUAL_ENV'] = str(active)
    result = subprocess.run(
        ['bash', str(repo / 'tools' / 'setup_env.sh'), *groups],
        env={**clean, 'PIP_LOG': str(log), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd='/',
        timeout=600,
    )
    calls = log.read_text().splitlines() if log.is_file() else []
    return result, calls


def constraints(repo):
    lines = (repo.parent / 'pip.log.constraints').read_text().splitlines()
    return {line for line in lines if '==' in line}


@pytest.mark.slow
def test_order_and_skipping(repo, env):
    result, calls = run(repo, active=env)
    assert result.returncode == 0, result.stderr
    assert f'ready: {env}/bin/python' in result.stderr
    assert len(calls) == 4
    assert 'torch>=2.1 torchvision>=0.16' in calls[0]
    assert 'mmcv-lite>=2.0.1,<2.2' in calls[1]
    assert calls[2].endswith('runtime.txt')
    assert calls[3].endswith(f'--no-build-isolation -e {repo}')
    assert any(line.startswith('torch==') for line in constraints(repo))

    # What pip would have left behind.
    pretend_installed(env, 'mmcv_lite', '2.1.0')
    pretend_installed(env, 'pauc_mm', '0.1.0')
    assert run(repo, active=env)[1] == []
    calls = run(repo, 'dev', active=env)[1]
    assert len(calls) == 1 and calls[0].endswith('requirements/dev.txt')
    assert run(repo, 'dev', active=env)[1] == []

    with open(repo / 'requirements' / 'runtime.txt', 'a') as f:
        f.write('another\n')
    assert run(repo, active=env)[1] != []


@pytest.mark.parametrize('name', ['mmcv', 'mmcv_lite', 'mmcv_full'])
def test_mmcv_that_is_there_is_left_alone(name, repo, env):
    pretend_installed(env, name, '2.1.0')
    result, calls = run(repo, active=env)
    assert result.returncode == 0
    assert len(calls) == 3
    assert not [call for call in calls if 'mmcv-lite' in call]


def test_the_continuation_has_an_environment_of_its_own(repo, env, tmp_path):
    copy = tmp_path / 'asked.txt'
    python = env / 'bin' / 'python'
    log = 'echo "$*" >>"$PIP_LOG"'
    text = python.read_text().replace(
        log, f'{log}; [[ $* == */runtime.txt ]] && cp "${{@: -1}}" {copy}'
    )
    python.write_text(text)
    options = dict(STACK='onedl', MADE=str(env))
    base = str(base_python(tmp_path))
    result, calls = run(repo, 'detection', PYTHON=base, **options)
    assert result.returncode == 0, result.stderr
    assert f'ready: {repo}/.venv-onedl/bin/python' in result.stderr
    assert not (repo / '.venv').exists()
    assert not [call for call in calls if 'mmcv-lite' in call]
    asked = copy.read_text()
    assert 'onedl-mmcv>=' in asked and '\nmmengine' not in asked
    assert calls[-1].endswith('onedl-detection.txt')


@pytest.mark.parametrize(
    'installed, stack, message',
    [
        ('mmcv_lite onedl_mmcv', '', 'uninstall -y mmengine'),
        ('mmengine', 'onedl', 'has openmmlab'),
        ('onedl_mmengine', 'openmmlab', 'has onedl'),
        ('', 'another', 'STACK=another'),
    ],
)
def test_stacks_are_not_mixed(installed, stack, message, repo, env):
    for name in installed.split():
        pretend_installed(env, name, '2.1.0')
    result, calls = run(repo, active=env, STACK=stack)
    assert result.returncode == 1 and calls == []
    assert message in result.stderr


def test_an_active_environment_keeps_what_it_has(repo, env):
    pretend_installed(env, 'torch', '2.5.1')
    assert run(repo, active=env)[0].returncode == 0
    kept = constraints(repo)
    assert not [line for line in kept if line.startswith('torch==')]
    assert [line for line in kept if line.startswith('torchvision==')]


@pytest.mark.parametrize('name, wanted', [(None, True), ('faiss_gpu', False)])
def test_faiss_cpu_only_where_no_faiss_gpu_is(name, wanted, repo, env):
    copy = repo.parent / 'runtime-copy.txt'
    python = env / 'bin' / 'python'
    text = python.read_text().replace(
        'echo "$*" >>"$PIP_LOG"',
        'echo "$*" >>"$PIP_LOG"; '
        f'[[ ${{@: -1}} == */runtime.txt ]] && cp "${{@: -1}}" {copy}',
    )
    python.write_text(text)
    if name:
        pretend_installed(env, name, '1.15.1')
    assert run(repo, active=env)[0].returncode == 0
    lines = copy.read_text().splitlines()
    assert bool([x for x in lines if x.startswith('faiss-cpu')]) is wanted
    assert [line for line in lines if line.startswith('POT')]


def test_a_failed_installation_is_not_taken_for_done(repo, env):
    result, calls = run(repo, active=env, PIP_STATUS='1')
    assert result.returncode == 1
    assert len(calls) == 1
    assert 'failed:' in result.stderr
    assert len(run(repo, active=env)[1]) == 4


def test_unknown_group(repo, env):
    result, _ = run(repo, 'nonsense', active=env)
    assert result.returncode == 1
    assert 'nonsense' in result.stderr
    # It would stand beside faiss-cpu, whose files are the same.
    result, _ = run(repo, 'gpu', active=env)
    assert result.returncode == 1
    assert 'see docs/install.md' in result.stderr


def base_python(tmp_path):
    """An interpreter whose new environments have the stand-in for python."""
    path = tmp_path / 'base python'
    path.write_text(
        '#!/usr/bin/env bash\n'
        'if [[ $2 == venv ]]; then cp -a "$MADE" "$3"; exit; fi\n'
        f'exec {sys.executable} "$@"\n'
    )
    path.chmod(0o755)
    return path


def test_makes_a_venv_with_the_pinned_set(repo, env, tmp_path):
    pretend_installed(env, 'numpy', '1.26.4')
    gone = dict(VIRTUAL_ENV='/gone', CONDA_PREFIX='/gone/too')
    python = str(base_python(tmp_path))
    result, calls = run(repo, PYTHON=python, MADE=str(env), **gone)
    assert result.returncode == 0, result.stderr
    assert f'ready: {repo}/.venv/bin/python' in result.stderr
    assert len(calls) == 4
    # In its own environment it pins everything.
    pins = (repo / 'requirements' / 'constraints.txt').read_text()
    assert constraints(repo) == {x for x in pins.splitlines() if '==' in x}


@pytest.mark.parametrize(
    'version, fits',
    [('3, 9, 18', 0), ('3, 10, 0', 1), ('3, 13, 9', 1), ('3, 14, 0', 0)],
)
def test_versions_that_fit(version, fits):
    script = (ROOT / 'tools' / 'setup_env.sh').read_text()
    function = re.search(r'^pauc_fits\(\) {\n.*?^}$', script, re.M | re.S)[0]
    # An interpreter that says it is of another version.
    python = (
        'fake() { python3 -c "import sys; sys.version_info = '
        f'({version}); exec(sys.argv[1])" "$2"; }}'
    )
    found = subprocess.run(
        ['bash', '-c', f'{python}; {function}; pauc_fits fake']
    )
    assert (found.returncode == 0) == fits


def test_broken_venv_is_not_removed(repo):
    (repo / '.venv').mkdir()
    (repo / '.venv' / 'mine').touch()
    result, _ = run(repo)
    assert result.returncode == 1
    assert 'is broken: remove it' in result.stderr
    assert (repo / '.venv' / 'mine').exists()
