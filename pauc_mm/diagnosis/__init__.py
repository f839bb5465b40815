# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Has it collapsed, and where? For any self-supervised checkpoint."""

from pauc_mm.checkpoints.encoder import Encoder
from pauc_mm.checkpoints.load_encoder import load_encoder

from .comparison import compare
from .diagnose import diagnose
from .measures import headline, measure
from .verdict import CRITERIA, Criterion, Verdict, judge

__all__ = [
    'CRITERIA',
    'Criterion',
    'Encoder',
    'Verdict',
    'compare',
    'diagnose',
    'headline',
    'judge',
    'load_encoder',
    'measure',
]
