# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# alpha, beta and gamma, the weights of eq. 7, are 100.0, 100.0, 10.0:
# with the ratios of the recipe.
_base_ = '../pauc_tiny_digits.py'

model = dict(
    align_loss=dict(loss_weight=100.0),
    uniform_loss=dict(loss_weight=100.0),
    corr_loss=dict(loss_weight=10.0),
)
