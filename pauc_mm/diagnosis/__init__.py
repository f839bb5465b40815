# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Has it collapsed, and where? For any self-supervised checkpoint."""

from .comparison import compare
from .diagnose import diagnose
from .encoder import Encoder
from .load_encoder import load_encoder
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
