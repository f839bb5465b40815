# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Effects of ``import pauc_mm`` in fresh interpreters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pauc_mm._requirements import install_argument

ROOT = Path(__file__).resolve().parents[1]

LAZY = """
import sys
import mmpretrain.datasets, mmpretrain.engine, mmpretrain.models
before = set(sys.modules)
import pauc_mm
import torch
new = {name.partition('.')[0] for name in set(sys.modules) - before}
print(sorted(new & {'faiss', 'ot', 'mmdet', 'sklearn', 'matplotlib'}))
print(torch.cuda.is_initialized())
from mmpretrain.registry import HOOKS, LOOPS, METRICS, MODELS, OPTIM_WRAPPERS
for registry, name in (
    (MODELS, 'PAUC'),
    (MODELS, 'ProtoNCEHead'),
    (HOOKS, 'ClusteringHook'),
    (METRICS, 'NEMD'),
    (LOOPS, 'EmbeddingValLoop'),
    (OPTIM_WRAPPERS, 'CPUAmpOptimWrapper'),
):
    assert registry.get(name), name
"""

HIDE = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name in HIDDEN:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)

import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = (
    lambda name, package=None: None if name in HIDDEN else find_spec(name)
)
sys.meta_path.insert(0, Hide())
try:
    import pauc_mm
except ImportError as error:
    print(error.name)
    print(error)
"""


def run(code: str, *options: str) -> str:
    """Output of a program in a fresh interpreter."""
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    result = subprocess.run(
        [sys.executable, *options, '-c', code],
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_import_registers_lazily_and_leaves_the_gpu_alone():
    assert run(LAZY).split('\n')[:2] == ['[]', 'False']


@pytest.mark.parametrize(
    'hidden, commands',
    [
        (['mmcv'], [f'pip install {install_argument("mmcv")}']),
        (
            ['mmpretrain', 'torchvision'],
            [install_argument('mmpretrain'), '"torchvision>=0.16"'],
        ),
    ],
)
def test_missing_dependencies_are_named_with_commands(hidden, commands):
    output = run(f'HIDDEN = {hidden}\n{HIDE}')
    first, _, message = output.partition('\n')
    assert first in hidden
    assert all(name in message for name in hidden)
    assert all(command in message for command in commands)
    assert 'python -m pauc_mm.check_env' in message


def test_nothing_installed_still_gives_the_message():
    # -S leaves out site-packages.
    output = run(f'HIDDEN = []\n{HIDE}', '-S')
    assert output.startswith('torch\n')
    assert output.count('pip install') == 5
    assert 'pip install "mmengine>' in output
    assert 'pip install "onedl-mmengine>' in output
