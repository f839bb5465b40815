# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CLD on MoCo v2 on ImageNet-100: 8 GPUs x 32 images in three views, 200
# epochs. Batch and epochs are CLD's in the PAUC paper's table 2; all else is
# as in cld_r50_8xb64_in1k.py.
_base_ = [
    '../_base_/models/cld_r50.py',
    '../_base_/datasets/imagenet100_moco_v2.py',
    '../_base_/schedules/sgd_cosine_200e.py',
    '../_base_/default_runtime.py',
]

# Groups of a batch, 120 of 512 images there; the queue of the other recipes
# of ImageNet-100.
model = dict(queue_len=1024, num_clusters=60)
# Two queries and a key.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=3, transforms=[_base_.view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=0.1))  # 0.2 for 512 images
