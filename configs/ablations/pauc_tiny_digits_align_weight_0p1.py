# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# alpha, the weight of the alignment (eq. 4) in eq. 7, is 0.1.
_base_ = '../pauc_tiny_digits.py'

model = dict(align_loss=dict(loss_weight=0.1))
