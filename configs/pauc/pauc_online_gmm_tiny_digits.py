# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC on scikit-learn's digits without an E-step.
_base_ = '../pcl/pclv2_online_gmm_tiny_digits.py'

model = dict(
    type='PAUC',
    align_loss=dict(type='PrototypeAlignmentLoss', loss_weight=1.0),
    uniform_loss=dict(type='PrototypeUniformityLoss', loss_weight=1.0),
    corr_loss=dict(
        type='PrototypeCorrelationLoss', loss_weight=0.1, temperature=0.1
    ),
)
