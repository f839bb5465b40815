# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Fine-tuning with labels for 10% of scikit-learn's digits: 145 images.
_base_ = [
    '../_base_/tiny_digits.py',
    './_base_/pcl_20e.py',
    '../_base_/classification_runtime.py',
]

train_dataloader = dict(dataset=dict(fraction=0.1, fraction_seed=0))
train_cfg = dict(val_interval=5)
auto_scale_lr = dict(base_batch_size=32)
