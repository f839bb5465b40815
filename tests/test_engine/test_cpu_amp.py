# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

import pauc_mm  # noqa: F401
from pauc_mm.engine.cpu_amp import CPUAmpOptimWrapper


def build(model, **kwargs):
    cfg = dict(
        type='mmpretrain.CPUAmpOptimWrapper',
        optimizer=dict(type='SGD', lr=0.1),
        **kwargs,
    )
    return build_optim_wrapper(model, cfg)


def test_forward_is_bfloat16_and_the_step_float32():
    torch.manual_seed(0)
    model, x = nn.Linear(4, 2), torch.randn(3, 4)
    reference = nn.Linear(4, 2)
    reference.load_state_dict(model.state_dict())
    wrapper = build(model)
    assert isinstance(wrapper, CPUAmpOptimWrapper)
    with wrapper.optim_context(model):
        out = model(x)
    assert out.dtype == torch.bfloat16
    wrapper.update_params(out.float().square().mean())
    reference(x).square().mean().backward()
    for p, q in zip(model.parameters(), reference.parameters()):
        assert p.dtype == torch.float32
        # bfloat16 keeps 8 significant bits.
        torch.testing.assert_close(
            p.data, q.data - 0.1 * q.grad, rtol=2**-7, atol=2**-7 * 0.1
        )


def test_other_dtypes_are_refused():
    with pytest.raises(ValueError, match='optim_wrapper.dtype.*float16'):
        build(nn.Linear(1, 1), dtype='float16')
