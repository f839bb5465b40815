# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# ImageNet-1k with BYOL's two views; the second is rarely blurred and at times
# solarized. mmpretrain's except for ColorJitter. For that and the folder see
# imagenet_moco_v2.py.
_base_ = './imagenet_moco_v2.py'

crop_and_colour = [
    dict(
        type='RandomResizedCrop',
        scale=224,
        interpolation='bicubic',
        backend='pillow',
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomApply',
        transforms=[
            dict(type='NumpyToPIL', to_rgb=True),
            dict(
                type='torchvision/ColorJitter',
                brightness=0.4,
                contrast=0.4,
                saturation=0.2,
                hue=0.1,
            ),
            dict(type='PILToNumpy', to_bgr=True),
        ],
        prob=0.8,
    ),
    dict(
        type='RandomGrayscale',
        prob=0.2,
        keep_channels=True,
        channel_weights=(0.114, 0.587, 0.2989),
    ),
]
blur = dict(
    type='GaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf'
)
view_pipeline1 = [*crop_and_colour, dict(**blur, prob=1.0)]
view_pipeline2 = [
    *crop_and_colour,
    dict(**blur, prob=0.1),
    dict(type='Solarize', thr=128, prob=0.2),
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
