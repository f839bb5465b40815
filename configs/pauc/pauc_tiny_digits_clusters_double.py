# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Twice as many prototypes in each of the M clusterings (K of eq. 2).
_base_ = 'pauc_tiny_digits.py'

model = dict(num_clusters=[50, 100, 200])
