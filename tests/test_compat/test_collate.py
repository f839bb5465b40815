# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from mmengine import dataset
from mmengine.registry import FUNCTIONS

import pauc_mm.datasets  # noqa: F401


@pytest.mark.parametrize('kind', ['default_collate', 'pseudo_collate'])
def test_collate_functions_are_mmengines(kind):
    batch = [dict(x=torch.ones(2), y=1), dict(x=torch.zeros(2), y=2)]
    ours = FUNCTIONS.get(kind)(batch, _scope_='mmpretrain')
    theirs = getattr(dataset, kind)(batch)
    assert str(ours) == str(theirs)
