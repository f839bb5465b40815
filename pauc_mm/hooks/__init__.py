# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .checkpoint_guard_hook import CheckpointGuardHook
from .clustering_hook import ClusteringHook
from .epoch_seed_hook import EpochSeedHook
from .setup_check_hook import SetupCheckHook

__all__ = [
    'CheckpointGuardHook',
    'ClusteringHook',
    'EpochSeedHook',
    'SetupCheckHook',
]
