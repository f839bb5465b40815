# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# 200 epochs of SGD, 0.03 for a batch of 256, x0.1 at epochs 120 and 160.
_base_ = './sgd_cosine_200e.py'

param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[120, 160], gamma=0.1)
]
