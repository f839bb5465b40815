# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Run all evaluations of one checkpoint beside published results."""

from .run import (
    DONE,
    FAILED,
    NOT_RUN,
    all_tasks,
    check_checkpoint,
    run_tasks,
    why_not,
)
from .table import suite_table, table_rows
from .task import OWN, Score, Setup, Task

__all__ = [
    'DONE',
    'FAILED',
    'NOT_RUN',
    'OWN',
    'Score',
    'Setup',
    'Task',
    'all_tasks',
    'check_checkpoint',
    'run_tasks',
    'suite_table',
    'table_rows',
    'why_not',
]
