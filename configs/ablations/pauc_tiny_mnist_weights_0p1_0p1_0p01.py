# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# alpha, beta and gamma, the weights of eq. 7, are 0.1, 0.1, 0.01:
# with the ratios of the recipe.
_base_ = '../pauc_tiny_mnist.py'

model = dict(
    align_loss=dict(loss_weight=0.1),
    uniform_loss=dict(loss_weight=0.1),
    corr_loss=dict(loss_weight=0.01),
)
