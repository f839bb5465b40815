# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS

from pauc_mm.engine.checks import schedule_checks
from pauc_mm.engine.checks.schedule_checks import check_learning_rates

COSINE = dict(type='CosineAnnealingLR')
STEPS = dict(type='MultiStepLR')


@pytest.mark.parametrize(
    'epochs, schedule, said',
    [
        # A tenth is what recipes with a warm-up are short of.
        (200, dict(COSINE, T_max=222), ''),
        (200, dict(COSINE, T_max=223), 'for 223 epochs.* after 200'),
        (200, dict(COSINE, begin=10, T_max=213), 'for 223 epochs'),
        (160, dict(STEPS, milestones=[120, 159]), ''),
        (160, dict(STEPS, milestones=[120, 160]), 'for 160 epochs'),
        # Milestones count from the beginning of the schedule.
        (160, dict(STEPS, begin=10, milestones=[120, 149]), ''),
        (160, dict(STEPS, begin=10, milestones=[120, 150]), 'for 160 epochs'),
        (160, dict(STEPS, milestones=[]), ''),
        (20, dict(COSINE, by_epoch=False, T_max=200), ''),
        (None, dict(COSINE, T_max=999), ''),  # a loop without epochs
    ],
)
def test_a_schedule_that_is_cut_off(monkeypatch, epochs, schedule, said):
    lines = []

    def note(text, logger, level):
        assert level == logging.WARNING
        lines.append(text)

    monkeypatch.setattr(schedule_checks, 'print_log', note)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    built = PARAM_SCHEDULERS.build(dict(optimizer=optimizer, **schedule))
    check_learning_rates([built], epochs, 200)
    assert len(lines) == bool(said) and said.partition('.*')[0] in str(lines)
