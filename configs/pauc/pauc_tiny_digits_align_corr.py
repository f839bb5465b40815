# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC without the uniformity of prototypes (eq. 5).
_base_ = 'pauc_tiny_digits.py'

model = dict(uniform_loss=None)
