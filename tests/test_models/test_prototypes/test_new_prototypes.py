# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The example of docs/tutorials/own_parts.md trains and resumes."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

from pauc_mm.evaluation.collapse import prototype_sets
from tests.helpers import run_cfg

DOC = Path(__file__).parents[3] / 'docs/tutorials/own_parts.md'


@pytest.fixture(scope='module', autouse=True)
def registered():
    code = re.search(
        r'%%writefile my_prototypes.py\n(.*?)```', DOC.read_text(), re.S
    )[1]
    assert len(code.splitlines()) < 60
    exec(compile(code, str(DOC), 'exec'), {'__name__': 'documented'})
    yield
    MODELS.module_dict.pop('MovingPrototypes')


def run(folder, kind, epochs, resume=False):
    cfg = run_cfg(folder, kind=kind, max_epochs=4)
    del cfg.default_hooks['clustering']
    cfg.model.prototypes = dict(type='MovingPrototypes', rate=0.2)
    cfg.resume = resume
    runner = Runner.from_cfg(cfg)
    runner.train_loop.stop_training = epochs == 0
    original = runner.train_loop.run_epoch

    def run_epoch():
        original()
        runner.train_loop.stop_training = runner.epoch == epochs

    runner.train_loop.run_epoch = run_epoch
    runner.train()
    return runner


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['PCL', 'PAUC'])
def test_the_documented_example(tmp_path, kind):
    runner = run(tmp_path / 'whole', kind, 4)
    losses = runner.message_hub.get_scalar('train/loss_protonce').data[0]
    assert len(losses) == runner.iter == 12  # from the first step on
    sets = prototype_sets(runner.model)
    assert [tuple(s.vectors.shape) for s in sets] == [(4, 8), (6, 8)]
    run(tmp_path / 'part', kind, 2)
    resumed = run(tmp_path / 'part', kind, 4, resume=True)
    state = resumed.model.state_dict()
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_it_follows_the_keys():
    build = MODELS.get('MovingPrototypes')
    prototypes = build(num_prototypes=[2], dim=2, rate=0.5)
    prototypes.weight.copy_(torch.eye(2))
    keys = torch.tensor([[0.6, 0.8], [0.0, 1.0], [0.8, -0.6]])
    prototypes.learn(keys)
    expected = torch.tensor([[0.9, -0.3], [0.15, 0.95]])
    torch.testing.assert_close(prototypes.weight, expected)
