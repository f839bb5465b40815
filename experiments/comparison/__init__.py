# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Methods, and ablations of PAUC, compared on the same terms."""

from .cells import comparison_cells, find_suite, tuning_cells
from .results import chosen_rates, group, group_tuning
from .settings import SUITES, Method, Suite

__all__ = [
    'SUITES',
    'Method',
    'Suite',
    'chosen_rates',
    'comparison_cells',
    'find_suite',
    'group',
    'group_tuning',
    'tuning_cells',
]
