# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Diagnosis of collapse for any self-supervised checkpoint."""

from .comparison import compare
from .criteria import CRITERIA, Criterion
from .diagnose import diagnose
from .measures import headline, measure
from .options import DiagnosisOptions
from .verdict import Verdict, judge

__all__ = [
    'CRITERIA',
    'Criterion',
    'DiagnosisOptions',
    'Verdict',
    'compare',
    'diagnose',
    'headline',
    'judge',
    'measure',
]
