# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Collapse of prototypes in joint and decoupled CARP on small images."""

from .results import group
from .runs import study_run, study_runs
from .settings import DATA, METHODS, TAILS, Method

__all__ = [
    'DATA',
    'METHODS',
    'TAILS',
    'Method',
    'group',
    'study_run',
    'study_runs',
]
