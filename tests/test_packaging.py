# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A wheel and an editable install, each in an environment of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pauc_mm.version import __version__

ROOT = Path(__file__).resolve().parents[1]
RECIPE = 'pauc_r50_8xb32_in1k.py'
HOOK = 'default_hooks.clustering'

# Run with the folder of a config that inherits from the package.
PROBE = f"""
import json
import sys
from importlib.metadata import version
import pauc_mm
from mmengine.config import Config
from mmengine.hub import get_config
from pauc_mm.utils.shipped_files import config_root, tool_path

cfg = Config.fromfile(sys.argv[1])
hub = get_config('pauc_mm::{RECIPE}')
print(json.dumps(dict(
    file=pauc_mm.__file__,
    version=version('pauc_mm'),
    root=str(config_root()),
    tool=str(tool_path('dist_train.sh')),
    model=cfg.model.type,
    scale=cfg.model.align_loss.loss_weight,
    hub=hub.model.type,
    epochs=hub.train_cfg.max_epochs,
    edited=cfg.get('edited'),
)))
"""


def run(*command, status=0, **kwargs):
    """Output of a program; its error output is shown when it fails."""
    drop = ('PYTHONPATH', 'PYTHONHOME', 'VIRTUAL_ENV')
    env = {k: v for k, v in os.environ.items() if k not in drop}
    command = [str(word) for word in command]
    result = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=600, **kwargs
    )
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A copy of the sources, so that building leaves nothing here."""
    copy = tmp_path_factory.mktemp('source') / 'repo'
    copy.mkdir()
    clean = shutil.ignore_patterns('__pycache__', '.mim', '*.egg-info')
    for name in ('pauc_mm', 'configs', 'tools', 'requirements'):
        shutil.copytree(ROOT / name, copy / name, ignore=clean)
    for path in ROOT.iterdir():
        if path.is_file() and path.name != '.git':
            shutil.copy(path, copy)
    return copy


@pytest.fixture(scope='module')
def wheel(source, tmp_path_factory):
    """A wheel, built from a source distribution."""
    out = tmp_path_factory.mktemp('dist')
    command = [sys.executable, '-m', 'build', '--no-isolation', '-o', out]
    run(*command, source)
    return next(out.glob('*.whl'))


def make_env(path):
    """An environment that also sees the packages of this one."""
    run(sys.executable, '-m', 'venv', '--without-pip', path)
    packages = next((path / 'lib').glob('python*/site-packages'))
    outer = [p for p in sys.path if p.endswith(('-packages', '-packages/'))]
    (packages / 'zz_outer.pth').write_text('\n'.join(outer))
    return path / 'bin' / 'python'


def install(python, *what):
    run(
        sys.executable,
        '-m',
        'pip',
        '--python',
        python,
        'install',
        '--no-deps',
        '--no-index',
        '--no-build-isolation',
        '--ignore-installed',
        *what,
    )


def probe(python, folder):
    """Ask the package installed beside ``python``, from another folder."""
    child = folder / 'child.py'
    child.write_text(
        f"_base_ = 'pauc_mm::{RECIPE}'\n"
        'model = dict(align_loss=dict(loss_weight=7.5))\n'
    )
    output = run(python, '-c', PROBE, child, cwd=folder)
    return json.loads(output.splitlines()[-1])


def check_answers(answers):
    assert answers['version'] == __version__
    assert answers['model'] == answers['hub'] == 'PAUC'
    assert answers['scale'] == 7.5
    assert answers['epochs'] == 200


def shipped():
    """Configs and tools that must lie in .mim."""
    files = [ROOT / 'model-index.yml']
    for folder, suffixes in (
        ('configs', ('.py', '.yml', '.md')),
        ('tools', ('.py', '.sh')),
    ):
        paths = (ROOT / folder).rglob('*')
        files += [path for path in paths if path.suffix in suffixes]
    return {path.relative_to(ROOT).as_posix() for path in files}


@pytest.mark.slow
def test_wheel_contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(n for n in names if n.endswith('.dist-info/METADATA'))
        metadata = archive.read(info).decode()
    mim = 'pauc_mm/.mim/'
    packed = {n[len(mim) :] for n in names if n.startswith(mim)}
    assert packed == shipped()
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / 'pauc_mm').rglob('*')
        if path.is_file()
        and not {'.mim', '__pycache__'} & set(path.relative_to(ROOT).parts)
    }
    assert any(name.endswith('.html') for name in sources)
    in_package = {n for n in names if n.startswith('pauc_mm/')}
    assert in_package == sources | {mim + name for name in packed}
    assert f'Version: {__version__}' in metadata
    assert re.search('Requires-Python: (>=3.10,<3.14|<3.14,>=3.10)', metadata)
    assert 'Apache-2.0' in metadata
    requires = [x for x in metadata.splitlines() if 'Requires-Dist' in x]
    assert any('faiss-cpu' in line for line in requires)
    # Both stacks are extras: neither is installed over the other.
    mm = [x for x in requires if re.search(r': (onedl-)?mm\w+[<>=]', x)]
    assert len(mm) == 7 and all('extra == ' in line for line in mm)
    assert not any(': mmcv' in line for line in mm)
    assert any('extra == "detection"' in line for line in requires)
    # Beside faiss-cpu, which is required, it would break both; pip refuses.
    assert not any('faiss-gpu' in line for line in requires)
    pins = (ROOT / 'requirements/constraints.txt').read_text().splitlines()
    assert 'faiss-gpu<0' in pins


@pytest.mark.slow
def test_wheel(wheel, tmp_path):
    python = make_env(tmp_path / 'env')
    install(python, wheel)
    answers = probe(python, tmp_path)
    check_answers(answers)
    package = Path(answers['file']).parent
    assert tmp_path / 'env' in package.parents
    assert Path(answers['root']) == package / '.mim' / 'configs'
    assert Path(answers['tool']) == package / '.mim/tools/dist_train.sh'


@pytest.mark.program
def test_programs_from_a_wheel(wheel, tmp_path, monkeypatch):
    """In an empty folder: the quickstart's, a diagnosis, a launch."""
    python, empty = make_env(tmp_path / 'env'), tmp_path / 'empty'
    install(python, wheel)
    tools = next((tmp_path / 'env').glob('lib/*/*/pauc_mm/.mim/tools'))
    empty.mkdir()

    def tool(name, *argv, **kwargs):
        return run(python, tools / name, *argv, cwd=empty, **kwargs)

    config, work_dir = 'pauc_mm::pauc_tiny_digits.py', 'work_dirs/short'
    short = ('train_cfg.max_epochs=2', f'{HOOK}.warmup_epochs=1')
    tool('train.py', config, '--work-dir', work_dir, '--cfg-options', *short)
    report = ('--config', config, '--work-dir', work_dir)
    table = tool('analysis/quickstart_report.py', *report)
    assert 'kNN accuracy' in table
    checkpoint = f'{work_dir}/epoch_2.pth'
    tool('analysis/diagnose.py', checkpoint, '--out', 'out', '--no-tsne')
    assert '<style>' in (empty / 'out/report.html').read_text()
    for folder in ('train/n01558993', 'val/n01558993', 'meta'):
        (empty / 'data/imagenet' / folder).mkdir(parents=True)
    for split in ('train', 'val'):
        lists = empty / f'data/imagenet/meta/{split}.txt'
        lists.write_text('n01558993/a.JPEG 15\n')
    bash = tmp_path / 'bin/bash'  # in place of the launcher itself
    bash.parent.mkdir()
    bash.write_text(
        '#!/bin/sh\nhead -n 1 "$1" >launched; echo "$@" >>launched'
    )
    bash.chmod(0o755)
    monkeypatch.setenv('PATH', str(bash.parent), prepend=os.pathsep)
    argv = (checkpoint, '--gpus', 2, '--tasks', 'imagenet-linear-sgd')
    tool('benchmarks/evaluate_all.py', *argv, status=1)
    first, command = (empty / 'launched').read_text().splitlines()
    assert first == '#!/usr/bin/env bash'
    assert command.startswith(str(tools / 'benchmarks/classification'))


@pytest.mark.slow
def test_editable(source, tmp_path):
    python = make_env(tmp_path / 'env')
    install(python, '-e', source)
    package = source / 'pauc_mm'
    assert (package / '.mim' / 'configs').samefile(source / 'configs')
    assert (package / '.mim' / 'tools').samefile(source / 'tools')
    # An edit counts without another installation.
    with open(source / 'configs' / RECIPE, 'a') as f:
        f.write('\nedited = 3\n')
    answers = probe(python, tmp_path)
    check_answers(answers)
    assert Path(answers['file']).parent == package
    assert Path(answers['root']) == package / '.mim' / 'configs'
    assert answers['edited'] == 3


def test_editable_install_is_ignored_by_git():
    ignored = (ROOT / '.gitignore').read_text().splitlines()
    assert '/pauc_mm/.mim' in ignored
