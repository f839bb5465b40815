# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC (BMVC 2022): PCL v1 with three terms on the prototypes of a batch. The
# paper's main text does not give their weights. 1, 1 and 0.1 are a starting
# point, within 0.2 points of PCL's kNN on small images. There, gamma = 1 and
# (10, 10, 1) are better with few labels, but gamma = 10 collapses, so gamma
# stays two powers of ten below that (docs/ablations.md).
_base_ = './pcl_r50.py'

model = dict(
    type='PAUC',
    align_loss=dict(type='PrototypeAlignmentLoss', loss_weight=1.0, power=2.0),
    uniform_loss=dict(type='PrototypeUniformityLoss', loss_weight=1.0, t=2.0),
    corr_loss=dict(
        type='PrototypeCorrelationLoss', loss_weight=0.1, temperature=0.1
    ),
)
