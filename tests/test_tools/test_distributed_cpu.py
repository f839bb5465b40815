# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""dist_train.sh and dist_test.sh with two processes and no GPU, for real."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

TOOLS = Path(__file__).resolve().parents[2] / 'tools'

TOY = """
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmpretrain.registry import DATASETS, METRICS, MODELS

@DATASETS.register_module()
class ToyNumbers(torch.utils.data.Dataset):
    metainfo = {}
    def __len__(self):
        return 8
    def __getitem__(self, index):
        return dict(inputs=torch.tensor([float(index)]))

@MODELS.register_module()
class ToyModel(BaseModel):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.weight = torch.nn.Parameter(torch.zeros(1))
    def forward(self, inputs, data_samples=None, mode='tensor'):
        # Gradient: minus the mean of the inputs.
        if mode == 'loss':
            return dict(loss=-(self.weight * torch.stack(inputs)).mean())
        return [self.weight.detach() for _ in inputs]

@METRICS.register_module()
class ToyMetric(BaseMetric):
    default_prefix = 'toy'
    def process(self, data_batch, data_samples):
        self.results += [float(w) for w in data_samples]
    def compute_metrics(self, results):
        return dict(mean=sum(results) / len(results), count=len(results))
"""
CONFIG = """
default_scope = 'mmpretrain'
custom_imports = dict(imports=['pauc_mm', 'toy'])
train_dataloader = val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(type='ToyNumbers'),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
model = dict(type='ToyModel')
train_cfg = dict(by_epoch=True, max_epochs=1)
val_cfg = dict()
val_evaluator = dict(type='ToyMetric')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=1.0))
default_hooks = dict(checkpoint_guard=dict(type='CheckpointGuardHook'))
work_dir = 'out'
"""


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without')
def test_two_processes_train_and_test(tmp_path):
    (tmp_path / 'toy.py').write_text(TOY)
    (tmp_path / 'recipe.py').write_text(CONFIG)

    def run(script, *args):
        env = {**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'}
        env['PYTHONPATH'] = str(tmp_path)
        result = subprocess.run(
            ['bash', str(TOOLS / script), 'recipe.py', *args],
            env=env,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert result.returncode == 0, result.stderr[-5000:]
        return result.stdout

    run('dist_train.sh', '2')
    checkpoint = torch.load(tmp_path / 'out/epoch_1.pth', weights_only=True)
    # One step with lr 1; the mean of 0 to 7 needs both processes.
    assert checkpoint['state_dict']['weight'].item() == 3.5

    out = run('dist_test.sh', 'out/epoch_1.pth', '2', '--out', 'm.json')
    metrics = json.loads((tmp_path / 'm.json').read_text())
    assert metrics == {'toy/mean': 3.5, 'toy/count': 8}
    assert out.count('toy/mean   3.5') == 1
