# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# The linear protocol on scikit-learn's digits: seconds on a CPU.
_base_ = [
    '../_base_/tiny_digits.py',
    './_base_/moco_100e.py',
    '../_base_/classification_runtime.py',
]

model = dict(backbone=dict(frozen_stages=3, norm_eval=True))
optim_wrapper = dict(optimizer=dict(lr=1.0))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[12, 16], gamma=0.1)
]
train_cfg = dict(max_epochs=20, val_interval=5)
auto_scale_lr = dict(base_batch_size=32)
