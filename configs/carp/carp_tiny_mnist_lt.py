# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Joint CARP on 5,000 images of MNIST with a long tail. Half as many steps as
# on all of them: 126 epochs of 8 batches instead of 65 of 31.
_base_ = [
    '../_base_/models/carp_tiny.py',
    '../_base_/datasets/mnist_lt.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/mnist_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=2.0))  # see carp_tiny_digits.py
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=126, by_epoch=True, begin=0, end=126)
]
train_cfg = dict(max_epochs=126, val_interval=42)
default_hooks = dict(
    collapse_monitor=dict(type='CollapseMonitorHook', interval=42)
)
