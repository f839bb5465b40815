# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A process that throws or dies in the E-step ends the whole job, soon."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]

# The other process is in a k-means that takes ten minutes.
FAULTY = """
import os, signal, time
from mmengine.dist import get_rank
from mmpretrain.registry import TASK_UTILS
from pauc_mm.utils import distributed

distributed._PATIENCE_S = 2.0

@TASK_UTILS.register_module()
class Faulty:
    def fit(self, features, k, seed):
        if get_rank() == 0:
            time.sleep(600)
        if os.environ['FAULT'] == 'dies':
            os.kill(os.getpid(), signal.SIGKILL)
        raise MemoryError(f'no room for k={k}')
"""
CONFIG = """
_base_ = '{root}/configs/pcl/pclv2_tiny_digits.py'
custom_imports = dict(imports=['pauc_mm', 'faulty'])
default_hooks = dict(
    clustering=dict(
        warmup_epochs=0, kmeans=dict(_delete_=True, type='Faulty')
    )
)
work_dir = 'out'
"""


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without')
@pytest.mark.parametrize('fault', ['throws', 'dies'])
def test_the_job_ends_with_the_facts(tmp_path, fault):
    (tmp_path / 'faulty.py').write_text(FAULTY)
    (tmp_path / 'recipe.py').write_text(CONFIG.format(root=ROOT))
    env = {**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'}
    env.update(PYTHONPATH=f'{tmp_path}:{ROOT}', FAULT=fault)
    result = subprocess.run(
        ['bash', str(ROOT / 'tools/dist_train.sh'), 'recipe.py', '2'],
        env=env,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,  # start included; without the fix it takes ten minutes
    )
    assert result.returncode != 0
    output = result.stdout + result.stderr
    if fault == 'throws':
        assert 'k-means failed on rank 1:\nTraceback' in output
        assert 'MemoryError: no room for k=' in output
    else:
        assert 'SIGKILL' in output and 'rank      : 1' in output
