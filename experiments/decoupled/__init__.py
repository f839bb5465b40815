# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Joint and decoupled CARP on small images: do their prototypes collapse?"""

from .cells import study_cell, study_cells
from .results import group
from .settings import DATA, METHODS, TAILS, Method

__all__ = [
    'DATA',
    'METHODS',
    'TAILS',
    'Method',
    'group',
    'study_cell',
    'study_cells',
]
