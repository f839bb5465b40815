# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .avg_pool_flatten import AvgPoolFlatten
from .carp_neck import CARPNeck
from .cld_neck import CLDNeck

__all__ = ['AvgPoolFlatten', 'CARPNeck', 'CLDNeck']
