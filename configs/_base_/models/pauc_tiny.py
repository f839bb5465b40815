# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC for images of 16 pixels. The paper does not give the weights. No other
# weights tried have a better kNN among the training images on both digits and
# MNIST. (10, 10, 1) is better with few labels, and ten times more collapses
# (docs/ablations.md).
_base_ = './pclv2_tiny.py'

model = dict(
    type='PAUC',
    align_loss=dict(type='PrototypeAlignmentLoss', loss_weight=1.0),
    uniform_loss=dict(type='PrototypeUniformityLoss', loss_weight=1.0),
    corr_loss=dict(
        type='PrototypeCorrelationLoss', loss_weight=0.1, temperature=0.1
    ),
)
