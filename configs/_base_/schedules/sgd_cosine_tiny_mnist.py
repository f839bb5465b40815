# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# 65 epochs of 31 batches on MNIST: 2,015 cheap steps.
_base_ = './sgd_cosine_tiny.py'

param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=65, by_epoch=True, begin=0, end=65)
]
train_cfg = dict(max_epochs=65, val_interval=13)
