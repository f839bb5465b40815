# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# ImageNet-1k with MoCo v1's augmentation (InstDisc's), in the order of the
# official code. For the folder see imagenet_moco_v2.py.
_base_ = './imagenet_moco_v2.py'

view_pipeline = [
    dict(type='ViewResizedCrop', scale=224, crop_ratio_range=(0.2, 1.0)),
    dict(type='ViewGrayscale', prob=0.2),
    dict(
        type='ViewColorJitter',
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.4,
    ),
    dict(type='ViewFlip', prob=0.5),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
