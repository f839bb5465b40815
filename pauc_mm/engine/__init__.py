# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Hooks, loops and checks that drive a mmengine Runner."""

from .cpu_amp import CPUAmpOptimWrapper
from .hooks import (
    BackboneCheckHook,
    CheckpointGuardHook,
    ClusteringHook,
    CollapseMonitorHook,
    EpochSeedHook,
    SetupCheckHook,
    UniqueSharesHook,
)
from .loops import EmbeddingTestLoop, EmbeddingValLoop

__all__ = [
    'BackboneCheckHook',
    'CPUAmpOptimWrapper',
    'CheckpointGuardHook',
    'ClusteringHook',
    'CollapseMonitorHook',
    'EmbeddingTestLoop',
    'EmbeddingValLoop',
    'EpochSeedHook',
    'SetupCheckHook',
    'UniqueSharesHook',
]
