# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""torch.compile gives the losses, gradients and queue of the plain model."""

import copy

import pytest
import torch
from mmpretrain.registry import MODELS

from tests.helpers import images_batch, model_cfg
from tests.test_models.test_pcl import with_prototypes

# All of inductor but the compilation of its kernels, which takes minutes.
BACKEND = 'aot_eager_decomp_partition'


def train(model, forward):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(1)
    history = []
    for seed in range(3):
        data = model.data_preprocessor(images_batch(seed=seed), training=True)
        optimizer.zero_grad()
        losses = forward(**data, mode='loss')
        sum(v for k, v in losses.items() if 'loss' in k).backward()
        optimizer.step()
        history.append({k: v.item() for k, v in losses.items()})
    return history


@pytest.mark.filterwarnings('ignore')  # torch's own, about its internals
def test_compiled_agrees_with_eager():
    torch.manual_seed(0)
    plain = with_prototypes(MODELS.build(model_cfg('PAUC')))
    compiled = copy.deepcopy(plain)
    want = train(plain, plain.forward)
    torch._dynamo.reset()
    got = train(compiled, torch.compile(compiled.forward, backend=BACKEND))
    for a, b in zip(want, got):
        assert b == pytest.approx(a, rel=1e-4, abs=1e-6)
    theirs = compiled.state_dict()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-5)
