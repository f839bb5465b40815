# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# beta, the weight of the uniformity (eq. 5) in eq. 7, is 0.1.
_base_ = '../pauc_tiny_digits.py'

model = dict(uniform_loss=dict(loss_weight=0.1))
