# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# 30 epochs of 78 batches on Fashion-MNIST: 2,340 cheap steps.
_base_ = './sgd_cosine_tiny.py'

param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=30, by_epoch=True, begin=0, end=30)
]
train_cfg = dict(max_epochs=30, val_interval=10)
