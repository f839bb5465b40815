# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Steps of the optimizer count where several batches make one."""

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from pauc_mm.apis.config import build_runner
from pauc_mm.apis.fine_tune_config import check_batch_size
from tests.helpers import run_cfg

pytestmark = pytest.mark.verdict('works')
# of 6 batches: the query encoder moves after the 2nd, 4th and 6th
COUNTS = 2


class Moves(Hook):
    """Notes in which batches the momentum encoder has moved."""

    def __init__(self):
        self.moved, self.last = [], None

    def after_train_iter(self, runner, *args, **kwargs):
        weights = torch.cat(
            [p.flatten() for p in runner.model.encoder_k.parameters()]
        ).clone()
        if self.last is not None and not torch.equal(weights, self.last):
            self.moved.append(runner.iter)
        self.last = weights


@pytest.mark.parametrize(
    'kind, warmup, resumed',
    [
        ('MoCo', 1, False),
        ('PCL', 1, False),
        ('PCL', 0, False),  # an E-step before the first batch
        ('PCL', 1, True),
    ],
)
def test_momentum_encoders_move_once_a_step(tmp_path, kind, warmup, resumed):
    def run(epochs, resume=False):
        cfg = run_cfg(tmp_path, 'PCL', 4, warmup, resume=resume)
        cfg.optim_wrapper.accumulative_counts = COUNTS
        cfg.train_cfg.max_epochs = epochs
        if kind == 'MoCo':
            cfg.model.type = 'MoCo'
            del cfg.model['num_clusters'], cfg.model['proto_head']
            del cfg.default_hooks['clustering']
        runner, moves = Runner.from_cfg(cfg), Moves()
        runner.register_hook(moves)
        runner.train()
        return moves.moved

    if resumed:
        run(2)
        # Of batches 6 to 11; the first that is seen has moved.
        assert run(4, resume=True) == [8, 10]
        return
    # In the forward pass after the step.
    assert run(4) == [2, 4, 6, 8, 10]


@pytest.mark.parametrize('counts, factor', [(1, 0.5), (2, 1.0), (4, 2.0)])
def test_the_learning_rate_is_scaled_by_the_whole_batch(
    tmp_path, counts, factor
):
    cfg = run_cfg(tmp_path, 'PCL')  # 16 images in a batch
    cfg.auto_scale_lr = dict(enable=True, base_batch_size=32)
    cfg.optim_wrapper.accumulative_counts = counts
    runner = build_runner(cfg)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
    group = runner.optim_wrapper.param_groups[0]
    assert group['lr'] == pytest.approx(0.05 * factor)
    assert runner.cfg.auto_scale_lr.base_batch_size == 32


def test_fine_tuning_counts_all_batches_of_a_step():
    cfg = Config(
        dict(
            train_dataloader=dict(batch_size=8),
            auto_scale_lr=dict(base_batch_size=32),
            optim_wrapper=dict(accumulative_counts=4),
        )
    )
    assert check_batch_size(cfg) is None
    cfg.optim_wrapper.accumulative_counts = 2
    assert 'takes 16 images' in check_batch_size(cfg)
