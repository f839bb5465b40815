# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import Registry
from mmengine.runner import Runner
from torch import nn

from pauc_mm.apis.tool import is_mistake, run_tool
from pauc_mm.datasets import list_images
from pauc_mm.utils.checks import check_integer
from pauc_mm.utils.distributed import raise_together

MODELS = Registry('models of this test')


@MODELS.register_module()
class Part:
    def __init__(self, size):
        self.size = check_integer('model.size', size, 1)


@MODELS.register_module()
class Faulty:
    def __init__(self):
        list_images(None)  # a fault of ours


LOADER = dict(
    dataset=[1],
    batch_size=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
)


def caught(function):
    with pytest.raises(Exception) as info:
        function()
    return info.value


def faulty():
    raise_together(caught(lambda: [][1]), 'Indexing')


@pytest.mark.parametrize(
    'function, mistake',
    [
        (lambda: check_integer('model.queue_len', 0, 1), True),
        (lambda: open('nowhere'), True),
        (lambda: MODELS.build(dict(type='Prt')), True),
        (lambda: MODELS.build(dict(type='Part', siz=3)), True),
        (lambda: MODELS.build(dict(type='Part', size=0)), True),
        (lambda: Runner.build_dataloader(LOADER), True),
        (lambda: MODELS.build(dict(type='Faulty')), False),
        (lambda: raise_together(ValueError('data_root'), 'Reading'), True),
        (faulty, False),
        (lambda: nn.Linear(2, 2)(torch.zeros(3)), False),
        (lambda: check_integer('a', 1), False),  # of our own program
        (lambda: [][1], False),
        (lambda: int('x'), False),
    ],
)
def test_mistakes_and_faults(function, mistake):
    assert is_mistake(caught(function)) is mistake


def test_one_line_for_a_mistake(monkeypatch):
    def main():
        check_integer('model.queue_len', 0, 1)

    monkeypatch.setattr(sys, 'argv', ['tools/train.py'])
    with pytest.raises(SystemExit, match='^train.py: error: model.queue_len'):
        run_tool(main)
    monkeypatch.setattr(sys, 'argv', ['tools/train.py', '--debug'])
    with pytest.raises(ValueError, match='model.queue_len'):
        run_tool(main)
    with pytest.raises(ZeroDivisionError):
        run_tool(lambda: 1 / 0)


@pytest.mark.slow
def test_a_program_prints_one_line(tmp_path):
    root = Path(__file__).parents[2]
    command = [sys.executable, root / 'tools/train.py']
    command += [root / 'configs/pauc_tiny_digits.py', '--cfg-options']
    ended = subprocess.run(
        [*command, 'model.num_cluster=[9]'],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(root)},
        capture_output=True,
        text=True,
    )
    lines = [line for line in ended.stderr.splitlines() if 'arn' not in line]
    assert ended.returncode == 1 and 'Traceback' not in ended.stderr
    assert lines[-1].startswith('train.py: error: Nothing reads model.num_clu')


@pytest.mark.parametrize(
    'tool', [*(Path(__file__).parents[2] / 'tools').rglob('*.py')]
)
def test_every_program_ends_this_way(tool):
    assert 'run_tool(' in tool.read_text()
