# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import copy

import pytest
import torch

from pauc_mm.clustering.deferred_flag import DeferredFlag


@pytest.mark.parametrize(
    'stored, raised',
    [([], False), ([0], False), ([1], True), ([0, -2], True), ([1, 0], False)],
)
def test_the_last_flag_is_raised_once(stored, raised):
    flag = DeferredFlag()
    for value in stored:
        flag.set(torch.tensor(value))
    copied = copy.deepcopy(flag)
    assert flag.raised() is raised
    assert not flag.raised()
    assert not copied.raised()  # of the batches of the other model
