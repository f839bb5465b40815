# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .atomic_backend import AtomicBackend
from .collate import default_collate, pseudo_collate
from .plain_checkpoint import from_plain, to_plain

__all__ = [
    'AtomicBackend',
    'from_plain',
    'default_collate',
    'pseudo_collate',
    'to_plain',
]
