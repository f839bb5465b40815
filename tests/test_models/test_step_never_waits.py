# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Nothing in a training step waits for the device."""

import pytest
import torch
from mmpretrain.registry import MODELS
from torch.utils._python_dispatch import TorchDispatchMode

from pauc_mm.models import MomentumBank
from tests.helpers import images_batch, model_cfg
from tests.test_models.test_pcl import with_prototypes


class RefuseToWait(TorchDispatchMode):
    """Fail where a value, or a shape that depends on values, is read."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        waits = {
            torch.Tag.data_dependent_output,
            torch.Tag.dynamic_output_shape,
        }
        masks = [
            x
            for x in (args[1] if func is torch.ops.aten.index.Tensor else ())
            if x is not None and x.dtype == torch.bool
        ]
        by_places = func is torch.ops.aten.index.Tensor and not masks
        if waits & set(func.tags) and not by_places:
            raise RuntimeError(f'{func} waits for the device')
        return func(*args, **(kwargs or {}))


def test_the_guard_itself_works():
    with RefuseToWait():
        with pytest.raises(RuntimeError, match='waits'):
            bool(torch.ones(()) == 0)
        with pytest.raises(RuntimeError, match='waits'):
            torch.unique(torch.ones(3))
        with pytest.raises(RuntimeError, match='waits'):
            torch.ones(3)[torch.ones(3).bool()]


@pytest.mark.parametrize('kind', ['PCL', 'PAUC'])
def test_forward_and_backward(kind):
    torch.manual_seed(0)
    changes = dict(centroid_weight=0.2) if kind == 'PAUC' else {}
    model = with_prototypes(MODELS.build(model_cfg(kind, **changes)))
    model.prototypes.bank = MomentumBank(12, 8, torch.device('cpu'))
    data = model.data_preprocessor(images_batch(), training=True)

    def step():
        losses = model.loss(**data)
        sum(v for k, v in losses.items() if 'loss' in k).backward()

    step()  # may ask once whether the momentum encoder has started
    with RefuseToWait():
        step()
    assert model.prototypes.bank.used == 12


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_on_a_gpu():
    torch.manual_seed(0)
    model = with_prototypes(MODELS.build(model_cfg('PAUC'))).cuda()
    state = model.prototypes.clustering()
    model.prototypes.load_clustering(state, torch.device('cuda'))
    data = model.data_preprocessor(images_batch(), training=True)
    model.loss(**data)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode('error')
    try:
        losses = model.loss(**data)
        sum(v for k, v in losses.items() if 'loss' in k).backward()
    finally:
        torch.cuda.set_sync_debug_mode(before)
