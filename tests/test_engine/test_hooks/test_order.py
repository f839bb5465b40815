# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Hooks are called in an order that their work depends on."""

import pytest
from mmengine.hooks import CheckpointHook, RuntimeInfoHook, SyncBuffersHook
from mmengine.runner import Runner

from experiments.runner import UniqueSharesHook
from pauc_mm.engine.hooks import (
    CheckpointGuardHook,
    ClusteringHook,
    CollapseMonitorHook,
    DivergenceHook,
    EpochSeedHook,
)


def clustering():
    return ClusteringHook([])


def drawing():
    """Hook of a user that draws numbers late."""
    hook = CheckpointHook()
    hook.priority = 'VERY_LOW'
    return hook


@pytest.mark.parametrize(
    'first, second',
    [
        # The losses are logged before they are looked at.
        (RuntimeInfoHook, DivergenceHook),
        # Measured with the buffers and prototypes that are saved
        (SyncBuffersHook, CollapseMonitorHook),
        (SyncBuffersHook, UniqueSharesHook),
        (clustering, CollapseMonitorHook),
        (clustering, UniqueSharesHook),
        (clustering, CheckpointHook),
        (CollapseMonitorHook, CheckpointHook),
        # The guard converts what all others have added, and refuses a
        # checkpoint of other prototypes after the E-step has said why.
        (clustering, CheckpointGuardHook),
        (DivergenceHook, CheckpointGuardHook),
        # What others draw before an epoch does not matter.
        (clustering, EpochSeedHook),
        (drawing, EpochSeedHook),
        (CheckpointGuardHook, EpochSeedHook),
    ],
)
def test_order(first, second):
    runner = Runner.__new__(Runner)
    runner._hooks = []
    first, second = first(), second()
    for hook in (second, first):  # as if the config had them so
        runner.register_hook(hook)
    assert runner._hooks == [first, second]
