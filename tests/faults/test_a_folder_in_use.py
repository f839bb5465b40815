# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A second program in the folder of one that is at work, or of its orphan."""

import os

import pytest
import torch

from pauc_mm.apis.config import lock_folder
from pauc_mm.apis.evaluate_all import main as evaluate_all
from pauc_mm.apis.fine_tune import train_classifier
from pauc_mm.apis.train import main as train
from pauc_mm.utils.files import only_process_in
from pauc_mm.utils.shipped_files import resolve_config

DIGITS = resolve_config('pauc_tiny_digits')
LINEAR = resolve_config('benchmarks/linear/tiny_digits')
pytestmark = pytest.mark.verdict('refused')
WEIGHTS = {'backbone.conv1.weight': torch.zeros(8, 3, 3, 3)}


@pytest.mark.parametrize(
    'main, argv, option',
    [
        (train, [DIGITS], '--work-dir'),
        (train, [DIGITS, '--resume'], '--work-dir'),
        (train_classifier, [LINEAR, 'none'], '--work-dir'),
        (evaluate_all, ['weights.pth'], '--out'),
    ],
)
def test_it_is_refused(tmp_path, monkeypatch, main, argv, option):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        'pauc_mm.apis.evaluate_all.load_encoder', lambda options: None
    )
    torch.save(WEIGHTS, 'weights.pth')
    with only_process_in('run'):
        with pytest.raises(RuntimeError, match=rf"pid {os.getpid()} .*'run'"):
            main([*argv, option, 'run'])
    assert os.listdir('run') == ['lock']


@pytest.mark.parametrize(
    'launcher, variable', [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID')]
)
def test_the_first_rank_locks_for_all(
    tmp_path, monkeypatch, launcher, variable
):
    monkeypatch.setenv(variable, '1')
    with only_process_in(tmp_path):
        with lock_folder(tmp_path, launcher):
            pass
        monkeypatch.setenv(variable, '0')
        with pytest.raises(RuntimeError):
            with lock_folder(tmp_path, launcher):
                pass
