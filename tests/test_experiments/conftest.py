# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Fixtures of the experiments' tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pauc_mm.models import TinyConvNet

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run_program():
    """Run ``python -m experiments.NAME`` and return what it prints."""

    def run(name, *options):
        done = subprocess.run(
            [sys.executable, '-m', f'experiments.{name}', *options],
            env={**os.environ, 'PYTHONPATH': str(ROOT)},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope='session')
def scenes(tmp_path_factory):
    from experiments.digit_scenes import SceneSettings, write_scenes

    path = tmp_path_factory.mktemp('scenes') / 'digits'
    write_scenes(path, SceneSettings(train=4, val=2, size=96))
    return path


@pytest.fixture(scope='session')
def tiny_checkpoint(tmp_path_factory):
    """Write a checkpoint like that of configs/pauc/pauc_tiny_mnist.py."""
    torch.manual_seed(5)
    net = TinyConvNet(channels=(32, 64, 128), strides=(2, 2, 2))
    net.init_weights()
    state = {f'backbone.{k}': v for k, v in net.state_dict().items()}
    path = tmp_path_factory.mktemp('tiny') / 'epoch_65.pth'
    torch.save(dict(meta={}, state_dict=state), path)
    return path


@pytest.fixture
def quick():
    """Options of a detector's run of one epoch over the scenes."""
    return [
        'train_cfg.max_epochs=1',
        'train_cfg.val_interval=1',
        'train_dataloader.batch_size=2',
        'param_scheduler.0.start_factor=1.0',
        'default_hooks.checkpoint.interval=1',
    ]
