# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Joint CARP on the digits with a long tail. Half as many steps as on all
# digits: 165 epochs of 4 batches instead of 120 of 11.
_base_ = [
    '../_base_/models/carp_tiny.py',
    '../_base_/datasets/digits_lt.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/digits_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=2.0))  # see carp_tiny_digits.py
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=165, by_epoch=True, begin=0, end=165)
]
train_cfg = dict(max_epochs=165, val_interval=55)
default_hooks = dict(
    collapse_monitor=dict(type='CollapseMonitorHook', interval=30)
)
