# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# ImageNet-1k with the views of CARP's official code: two global and six local
# ones. The second global one is rarely blurred and at times solarized. For
# the folder see imagenet_moco_v2.py.
_base_ = './imagenet_byol.py'

colour = _base_.crop_and_colour[1:]  # after the crop
global_crop = dict(
    type='ViewResizedCrop',
    scale=224,
    crop_ratio_range=(0.2, 1.0),
    interpolation='bicubic',
    backend='pillow',
)
local_crop = dict(
    type='ViewResizedCrop',
    scale=96,
    crop_ratio_range=(0.05, 0.2),
    interpolation='bicubic',
    backend='pillow',
)
blur = _base_.blur
global_pipeline1 = [global_crop, *colour, dict(**blur, prob=1.0)]
global_pipeline2 = [
    global_crop,
    *colour,
    dict(**blur, prob=0.1),
    dict(type='ViewSolarize', threshold=128, prob=0.2),
]
local_pipeline = [local_crop, *colour, dict(**blur, prob=0.5)]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiView',
        num_views=[1, 1, 6],
        transforms=[global_pipeline1, global_pipeline2, local_pipeline],
    ),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
