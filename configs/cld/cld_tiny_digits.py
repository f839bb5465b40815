# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CLD with the epochs, batch, backbone and augmentation of
# mocov2_tiny_digits.py; a step has three views and costs half as much again.
_base_ = [
    '../_base_/models/cld_tiny.py',
    '../_base_/datasets/digits.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/default_runtime.py',
]

train_pipeline = [
    dict(type='MultiView', num_views=3, transforms=[_base_.view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
default_hooks = dict(checkpoint=dict(interval=20), logger=dict(interval=11))
val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=_base_.bank_dataloader)
test_cfg = dict(
    type='EmbeddingTestLoop', bank_dataloader=_base_.bank_dataloader
)
