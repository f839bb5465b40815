# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Hooks, loops and checks that drive a mmengine Runner."""

from . import hooks
from .cpu_amp import CPUAmpOptimWrapper
from .hooks import *  # noqa: F403
from .loops import EmbeddingTestLoop, EmbeddingValLoop

__all__ = [
    *hooks.__all__,
    'CPUAmpOptimWrapper',
    'EmbeddingTestLoop',
    'EmbeddingValLoop',
]
