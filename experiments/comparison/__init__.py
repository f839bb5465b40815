# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Compare methods, and ablations of PAUC, on the same terms."""

from .results import chosen_rates, group, group_tuning
from .runs import comparison_runs, find_suite, tuning_runs
from .settings import SUITES, Method, Suite

__all__ = [
    'SUITES',
    'Method',
    'Suite',
    'chosen_rates',
    'comparison_runs',
    'find_suite',
    'group',
    'group_tuning',
    'tuning_runs',
]
