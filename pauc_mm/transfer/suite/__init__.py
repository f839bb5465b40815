# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""All evaluations of one checkpoint, beside the figures of the papers."""

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
from .task import OWN, Figure, Setup, Task

__all__ = [
    'DONE',
    'FAILED',
    'NOT_RUN',
    'OWN',
    'Figure',
    'Setup',
    'Task',
    'all_tasks',
    'check_checkpoint',
    'run_tasks',
    'suite_table',
    'table_rows',
    'why_not',
]
