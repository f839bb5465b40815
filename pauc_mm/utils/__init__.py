# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .distributed import gather_with_grad, raise_together
from .seed import derive_seed

__all__ = ['derive_seed', 'gather_with_grad', 'raise_together']
