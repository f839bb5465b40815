# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pauc_mm import check_env
from pauc_mm._requirements import (
    check_imports,
    declared_ranges,
    install_argument,
    stack_mixture,
)
from pauc_mm.engine.plan import speeds

ROOT = Path(__file__).resolve().parents[1]
RANGES = declared_ranges('openmmlab')
RANGES['mmcv'] = check_env.MMCV


@pytest.fixture
def dists(monkeypatch):
    """A stand-in for what is installed: name to version, or an error."""
    table = {}

    def version(name):
        if name not in table:
            raise importlib.metadata.PackageNotFoundError(name)
        if isinstance(table[name], Exception):
            raise table[name]
        return table[name]

    monkeypatch.setattr(importlib.metadata, 'version', version)
    return table


@pytest.mark.parametrize(
    'version, allowed, expected',
    [
        ('2.14.1+cu130', '>=2.1', True),
        ('2.0.9', '>=2.1', False),
        ('2.1', '>=2.1.0', True),
        ('2.2.0', '>=2.0.1,<2.2', False),
        ('2.1.99', '>=2.0.1,<2.2', True),
        ('0.9.7.post1', '>=0.9.5', True),
        ('0.10', '>=0.9.5', True),
        ('1.0.0', '>=0.10.4,<1', False),
    ],
)
def test_in_range(version, allowed, expected):
    assert check_env.in_range(version, allowed) is expected


@pytest.fixture
def not_installed(monkeypatch):
    """Have pauc_mm on ``PYTHONPATH`` only, with its requirement files."""

    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, 'requires', requires)


def test_ranges_are_those_of_the_requirement_files(not_installed):
    checkout = declared_ranges('openmmlab')
    assert checkout['torch'] == '>=2.1' and checkout['mmdet'] == '>=3.2.0,<3.4'
    assert 'mmcv' not in checkout and 'mmcv-lite' not in checkout
    onedl = declared_ranges('onedl')
    assert onedl['mmcv'] == '>=2.3.6,<2.4' and onedl['mmdet'] == '>=3.5.1,<4'
    assert {k for k in checkout if 'mm' not in k} == {
        k for k in onedl if 'mm' not in k
    }


def test_comparison_without_packaging(monkeypatch):
    monkeypatch.setitem(sys.modules, 'packaging.specifiers', None)
    assert check_env.in_range('1', '>=2')


def test_everything_that_runs_the_tests_is_all_right():
    rows = check_env.collect(probe=False)
    assert [row for row in rows if row.fatal] == []


def check(name, probe=False):
    return check_env.check(name, RANGES[name], probe)


@pytest.mark.parametrize('name', RANGES)
def test_missing(name, dists, monkeypatch):
    monkeypatch.setattr(check_env, 'find_spec', lambda name: None)
    row = check(name)
    assert (row.status, row.installed) == ('missing', '-')
    assert row.fatal
    assert row.fix.endswith(f'-m pip install {install_argument(name)}')


def test_version_out_of_range(dists):
    dists['mmpretrain'] = '0.25.0'
    row = check('mmpretrain')
    assert row.status == 'wrong'
    assert '0.25.0' in row.problem and '>=1.2.0' in row.problem
    assert row.fix.endswith(f'install {install_argument("mmpretrain")}')


def test_old_mmcv_full_is_replaced_by_mmcv_lite(dists):
    dists['mmcv-full'] = '1.7.2'
    row = check('mmcv')
    assert row.status == 'wrong'
    assert 'uninstall -y mmcv-full && ' in row.fix
    assert row.fix.endswith('install "mmcv-lite>=2.0.1,<2.2"')


@pytest.mark.parametrize(
    'names', [['mmcv-lite', 'mmcv'], ['faiss-cpu', 'faiss-gpu']]
)
def test_two_distributions_of_one_module(names, dists):
    dists.update(dict.fromkeys(names, '2.1.0'))
    row = check(names[0] if names[0] in RANGES else 'mmcv')
    assert row.status == 'wrong'
    assert f'{names[0]} and {names[1]}' in row.problem
    assert f'uninstall -y {" ".join(names)} && ' in row.fix


ONEDL = {'mmengine': '0.10.12', 'mmcv': '2.3.6', 'mmpretrain': '1.3.6'}


def test_the_continuation(dists, not_installed):
    dists.update({f'onedl-{name}': ONEDL[name] for name in ONEDL})
    ranges = declared_ranges('onedl')
    for name in ONEDL:
        row = check_env.check(name, ranges[name], probe=False)
        assert (row.name, row.status) == (f'onedl-{name}', 'ok')
    del dists['onedl-mmcv']  # half of it
    assert install_argument('mmcv').startswith('"onedl-mmcv')


@pytest.mark.parametrize(
    'installed, kept',
    [
        (['mmengine', 'mmcv-lite', 'mmpretrain', 'onedl-mmcv'], 'mmcv-lite'),
        (['mmcv', 'onedl-mmengine', 'onedl-mmpretrain'], 'onedl-mmcv'),
        (['mmengine', 'mmcv', 'onedl-mmdetection'], 'mmdet'),
        (['onedl-mmengine', 'onedl-mmcv', 'mmdet'], 'onedl-mmdetection'),
        (['mmengine', 'onedl-mmengine'], 'mmpretrain'),
    ],
)
def test_both_stacks(installed, kept, dists):
    dists.update(dict.fromkeys(installed, '2.1.0'))
    problem, arguments = stack_mixture()
    assert all(name in problem for name in installed)
    remove, install = arguments.split('&&')
    assert set(installed) == set(remove.split()[2:])
    assert f'"{kept}' in install
    assert ('onedl' in install) == kept.startswith('onedl')
    with pytest.raises(ImportError, match='uninstall -y .* && pip install'):
        check_imports()
    row = check_env.check('mmengine', RANGES['mmengine'], probe=False)
    assert 'mixed' in row.problem or not {'mmengine', 'onedl-mmengine'} & {
        *installed
    }


def test_damaged_metadata(dists):
    dists['POT'] = KeyError('Version')
    row = check('POT')
    assert row.status == 'wrong'
    assert '--force-reinstall' in row.fix


def test_no_metadata_but_importable(dists):
    row = check('numpy', probe=True)
    assert (row.status, row.installed) == ('ok', 'no metadata')


@pytest.mark.parametrize(
    'error, fix',
    [
        (
            AssertionError('MMCV==2.4.0 is used but incompatible.\nmore'),
            '--force-reinstall',
        ),
        (
            ImportError('libGL.so.1: cannot open shared object file'),
            'opencv-python-headless',
        ),
        (
            RuntimeError('operator torchvision::nms does not exist'),
            'install --upgrade torch torchvision',
        ),
        (ModuleNotFoundError("No module named 'cv2'"), 'opencv-python'),
        (ModuleNotFoundError("No module named 'addict'"), 'install addict'),
    ],
)
def test_import_that_fails(error, fix, monkeypatch):
    def import_module(name):
        raise error

    monkeypatch.setattr(check_env.importlib, 'import_module', import_module)
    row = check('mmpretrain', probe=True)
    assert row.status == 'wrong'
    assert type(error).__name__ in row.problem
    assert 'more' not in row.problem
    assert fix in row.fix


@pytest.mark.parametrize(
    'installed, status, problem',
    [
        ({}, 'note', 'not installed'),
        ({'mmdet': '3.3.0', 'mmcv-lite': '2.1.0'}, 'ok', ''),
        ({'mmdet': '3.3.0', 'mmcv': '2.2.0'}, 'note', 'mmcv 2.2.0'),
        ({'mmdet': '2.28.0', 'mmcv': '2.1.0'}, 'note', '>=3.2.0'),
        ({'mmdet': '3.3.0', 'mmcv': '2.1.0'}, 'ok', ''),
    ],
)
def test_detection(installed, status, problem, dists, monkeypatch):
    dists.update(installed)
    if 'mmdet' not in installed:
        monkeypatch.setattr(check_env, 'find_spec', lambda name: None)
    row = check_env.check_detection(RANGES['mmdet'], probe=False)
    assert row.status == status
    assert problem in row.problem
    assert not row.fatal
    assert bool(row.fix) == (status != 'ok')


@pytest.mark.parametrize('version', ['3.8.18', '3.14.0'])
def test_python_out_of_range(version, monkeypatch):
    monkeypatch.setattr(check_env.platform, 'python_version', lambda: version)
    row = check_env.collect(probe=False)[0]
    assert row.fatal
    assert version in row.problem


@pytest.mark.parametrize(
    'torch, numpy, status',
    [
        ('2.2.2+cu121', '2.0.1', 'wrong'),
        ('2.1.0', '1.26.4', 'ok'),
        ('2.3.0', '2.0.1', 'ok'),
        ('2.14.1', '2.4.6', 'ok'),
        (None, '2.0.1', 'ok'),
    ],
)
def test_numpy_that_torch_was_not_built_for(torch, numpy, status, dists):
    dists.update(numpy=numpy, **({'torch': torch} if torch else {}))
    row = check_env.check_numpy(RANGES['numpy'], probe=False)
    assert row.status == status
    assert ('numpy<2' in row.fix) == (status == 'wrong')


def test_report_names_every_problem_and_its_command():
    rows = [
        check_env.Row('a', '1', '>=2', 'wrong', 'a is old', 'mend a'),
        check_env.Row('b', '1', '>=1'),
        check_env.Row('c', '-', '>=1', 'note', 'no c', 'get c'),
    ]
    text = check_env.report(rows)
    wrong, notes = text.index('Wrong:'), text.index('Notes:')
    assert wrong < text.index('a is old') < text.index('mend a') < notes
    assert notes < text.index('no c') < text.index('get c')
    assert 'OMP_NUM_THREADS' in text
    assert text.endswith('Not ready.')
    assert check_env.report(rows[1:]).endswith('Ready.')


@pytest.mark.parametrize(
    'status, code', [('ok', 0), ('note', 0), ('missing', 1), ('wrong', 1)]
)
def test_exit_code(status, code, monkeypatch, capsys):
    row = check_env.Row('a', '1', '>=2', status)
    monkeypatch.setattr(check_env, 'collect', lambda: [row])
    assert check_env.main([]) == code
    assert status in capsys.readouterr().out


def test_program_prints_the_table_where_nothing_is_installed():
    # -S leaves out site-packages, so even torch is missing.
    result = subprocess.run(
        [sys.executable, '-S', '-m', 'pauc_mm.check_env'],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != 'PYTHONPATH'},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 1
    assert result.stderr == ''
    for name in ('torch', 'mmcv-lite', 'faiss-cpu', 'jinja2'):
        assert f'pip install "{name}>=' in result.stdout
    assert result.stdout.rstrip().endswith('Not ready.')


def test_where_k_means_runs(monkeypatch):
    assert 'unknown' not in check_env.describe_kmeans()
    speed = 2 * 128 * 175_000 * 1_281_167 * 101 / 7200  # two hours for one
    monkeypatch.setattr(speeds, 'kmeans_speed', lambda *_: speed)
    text = check_env.describe_kmeans()
    assert text.startswith('on the CPU by faiss') and ' 2 h ' in text
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 8)
    text = check_env.describe_kmeans()
    assert text.startswith('on 8 GPU(s) by torch') and ' 15 min ' in text
    monkeypatch.setattr(check_env, 'import_error', lambda name: 'broken')
    assert check_env.describe_kmeans().startswith('unknown: torch')
