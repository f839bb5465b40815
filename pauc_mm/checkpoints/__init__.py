# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Open checkpoints of any project: encoder, head and prototypes."""

from .checkpoint import Checkpoint
from .encoder import Encoder

__all__ = ['Checkpoint', 'Encoder']
