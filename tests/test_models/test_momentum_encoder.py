# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import copy

import pytest
import torch
from torch import nn

from pauc_mm.models import MomentumEncoder


def test_average_equals_the_formula_and_starts_as_a_copy():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    encoder = MomentumEncoder(model, momentum=0.1)
    nn.init.normal_(model[0].weight)  # initialised later than it was copied
    model[1].running_mean.fill_(3)
    encoder.update_parameters(model)
    assert encoder.module[1].running_mean.tolist() == [3] * 4
    torch.testing.assert_close(encoder.module[0].weight, model[0].weight)
    expected = model[0].weight.detach().clone()
    for _ in range(3):
        with torch.no_grad():
            model[0].weight += torch.randn(4, 3)
        encoder.update_parameters(model)
        expected = 0.9 * expected + 0.1 * model[0].weight.detach()
    torch.testing.assert_close(encoder.module[0].weight.data, expected)
    assert encoder.steps.item() == 4


def test_whether_it_has_started_is_that_of_what_is_loaded():
    model = nn.Linear(2, 2)
    started, fresh = (MomentumEncoder(model, momentum=0.1) for _ in range(2))
    started.update_parameters(model)
    before, after = (copy.deepcopy(e.state_dict()) for e in (fresh, started))
    assert started.started and not fresh.started
    for encoder in (started, fresh):
        for state, want in ((before, False), (after, True), (before, False)):
            encoder.load_state_dict(state)
            assert encoder.started is want and encoder.count == want


@pytest.mark.parametrize('interval', [1, 2, 3])
def test_it_moves_once_in_the_batches_of_a_step(interval):
    model = nn.Linear(1, 1, bias=False)
    encoder = MomentumEncoder(model, momentum=0.5)
    encoder.interval, moved = interval, []
    for batch in range(7):
        before = encoder.module.weight.item()
        with torch.no_grad():
            model.weight += 1
        encoder.update_parameters(model)
        if encoder.module.weight.item() != before:
            moved.append(batch)
    assert moved == list(range(0, 7, interval))


def test_keeps_its_own_batchnorm_statistics():
    # mmengine's average overwrites them with those of the query encoder.
    model = nn.Sequential(nn.BatchNorm1d(2))
    encoder = MomentumEncoder(model, momentum=0.1)
    encoder.update_parameters(model)
    keys = torch.randn(64, 2) + 5
    encoder(keys)
    own = encoder.module[0].running_mean.clone()
    assert (own - 0.1 * keys.mean(0)).abs().max() < 1e-5
    encoder.update_parameters(model)
    torch.testing.assert_close(encoder.module[0].running_mean, own)


def test_state_dict_has_the_layout_of_mmengine():
    from mmengine.model import ExponentialMovingAverage

    model = nn.Linear(2, 2)
    ours = MomentumEncoder(model, momentum=0.1).state_dict()
    theirs = ExponentialMovingAverage(model, momentum=0.1).state_dict()
    assert ours.keys() == theirs.keys()
