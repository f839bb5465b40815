# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .avg_pool_flatten import AvgPoolFlatten

__all__ = ['AvgPoolFlatten']
