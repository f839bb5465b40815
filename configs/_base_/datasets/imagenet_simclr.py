# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# ImageNet-1k with SimCLR's augmentation. For transforms and folder see
# imagenet_moco_v2.py.
_base_ = './imagenet_moco_v2.py'

view_pipeline = [
    dict(type='ViewResizedCrop', scale=224),
    dict(type='ViewFlip', prob=0.5),
    dict(
        type='ViewColorJitter',
        brightness=0.8,
        contrast=0.8,
        saturation=0.8,
        hue=0.2,
        prob=0.8,
    ),
    dict(type='ViewGrayscale', prob=0.2),
    dict(type='ViewGaussianBlur', sigma=(0.1, 2.0), prob=0.5),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
