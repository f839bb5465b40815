# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# ImageNet-1k with BYOL's two views; the second is rarely blurred and at times
# solarized. For transforms and folder see imagenet_moco_v2.py.
_base_ = './imagenet_moco_v2.py'

crop_and_colour = [
    dict(type='ViewResizedCrop', scale=224, interpolation='bicubic'),
    dict(type='ViewFlip', prob=0.5),
    dict(
        type='ViewColorJitter',
        brightness=0.4,
        contrast=0.4,
        saturation=0.2,
        hue=0.1,
        prob=0.8,
    ),
    dict(type='ViewGrayscale', prob=0.2),
]
blur = dict(type='ViewGaussianBlur', sigma=(0.1, 2.0))
view_pipeline1 = [*crop_and_colour, dict(**blur, prob=1.0)]
view_pipeline2 = [
    *crop_and_colour,
    dict(**blur, prob=0.1),
    dict(type='ViewSolarize', threshold=128, prob=0.2),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiView',
        num_views=[1, 1],
        transforms=[view_pipeline1, view_pipeline2],
    ),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
