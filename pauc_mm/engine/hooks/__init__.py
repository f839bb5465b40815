# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .backbone_check_hook import BackboneCheckHook
from .checkpoint_guard_hook import CheckpointGuardHook
from .clustering_hook import ClusteringHook
from .collapse_monitor_hook import CollapseMonitorHook
from .divergence_hook import DivergenceHook
from .epoch_seed_hook import EpochSeedHook
from .progress_hook import ProgressHook
from .setup_check_hook import SetupCheckHook

__all__ = [
    'BackboneCheckHook',
    'CheckpointGuardHook',
    'ClusteringHook',
    'CollapseMonitorHook',
    'DivergenceHook',
    'EpochSeedHook',
    'ProgressHook',
    'SetupCheckHook',
]
