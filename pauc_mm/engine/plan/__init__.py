# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .planning import as_table, log_plan, plan_training
from .speeds import GPUS
from .training import Images

__all__ = ['GPUS', 'Images', 'as_table', 'log_plan', 'plan_training']
