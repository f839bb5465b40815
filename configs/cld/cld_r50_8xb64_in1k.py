# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CLD on MoCo v2 on ImageNet-1k: 8 GPUs x 64 images in three views, 200
# epochs. Batch, learning rate and epochs are those of the paper and of the
# official script, which trains in half precision (here: --amp).
_base_ = [
    '../_base_/models/cld_r50.py',
    '../_base_/datasets/imagenet_moco_v2.py',
    '../_base_/schedules/sgd_cosine_200e.py',
    '../_base_/default_runtime.py',
]

# Two queries and a key.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=3, transforms=[_base_.view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=0.2))
auto_scale_lr = dict(base_batch_size=512)
