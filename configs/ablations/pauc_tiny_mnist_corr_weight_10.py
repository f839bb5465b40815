# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# gamma, the weight of the correlation (eq. 6) in eq. 7, is 10.0.
_base_ = '../pauc_tiny_mnist.py'

model = dict(corr_loss=dict(loss_weight=10.0))
