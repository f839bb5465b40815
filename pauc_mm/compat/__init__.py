# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .atomic_backend import AtomicBackend
from .cpu_amp import CPUAmpOptimWrapper
from .launch import prepare_launch
from .plain_checkpoint import from_plain, to_plain

__all__ = [
    'AtomicBackend',
    'CPUAmpOptimWrapper',
    'from_plain',
    'prepare_launch',
    'to_plain',
]
