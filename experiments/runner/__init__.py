# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Run experiments: resumable runs in parallel, and tables of their results.

A program declares its runs (:class:`Run`), has what is missing executed
(:class:`Scheduler`) and reads the results from a :class:`Store`.
"""

from .column import Column, metric_column
from .config_run import ConfigRun
from .result import RunResult
from .run import Run
from .scheduler import Scheduler
from .store import Store, read_results, write_results
from .unique_shares_hook import UniqueSharesHook

__all__ = [
    'Column',
    'ConfigRun',
    'Run',
    'RunResult',
    'Scheduler',
    'Store',
    'UniqueSharesHook',
    'metric_column',
    'read_results',
    'write_results',
]
