# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC on 5,000 images of MNIST; weights as in pauc_tiny_digits.py.
_base_ = '../pcl/pclv2_tiny_mnist.py'

model = dict(
    type='PAUC',
    align_loss=dict(type='PrototypeAlignmentLoss', loss_weight=1.0),
    uniform_loss=dict(type='PrototypeUniformityLoss', loss_weight=1.0),
    corr_loss=dict(
        type='PrototypeCorrelationLoss', loss_weight=0.1, temperature=0.1
    ),
)
