# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CLD with the epochs, batch, backbone and augmentation of
# mocov2_tiny_digits.py. A step has three views and costs 1.5 times as much.
_base_ = [
    '../_base_/models/cld_tiny.py',
    '../_base_/datasets/digits.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/digits_runtime.py',
]

train_pipeline = [
    dict(type='MultiView', num_views=3, transforms=[_base_.view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
