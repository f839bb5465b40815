# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .distributed import (
    first_over_ranks,
    gather_with_grad,
    on_main_process,
    raise_together,
    share_buffers,
)
from .progress import progress
from .seed import derive_seed
from .shard import Shard

__all__ = [
    'Shard',
    'derive_seed',
    'first_over_ranks',
    'gather_with_grad',
    'on_main_process',
    'progress',
    'raise_together',
    'share_buffers',
]
