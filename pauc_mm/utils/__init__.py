# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .distributed import (
    gather_with_grad,
    on_main_process,
    raise_together,
    share_buffers,
)
from .progress import progress
from .seed import derive_seed

__all__ = [
    'derive_seed',
    'gather_with_grad',
    'on_main_process',
    'progress',
    'raise_together',
    'share_buffers',
]
