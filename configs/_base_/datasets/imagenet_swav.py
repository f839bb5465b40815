# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# ImageNet-1k with SwAV's views, two of 224 pixels and six of 96. For
# transforms and folder see imagenet_moco_v2.py.
_base_ = './imagenet_simclr.py'

# SimCLR's colours and blur, and the flip, which is the last here.
colour = [*_base_.view_pipeline[2:], _base_.view_pipeline[1]]
view_pipeline1 = [
    dict(
        type='ViewResizedCrop',
        scale=224,
        crop_ratio_range=(0.14, 1.0),
    ),
    *colour,
]
view_pipeline2 = [
    dict(
        type='ViewResizedCrop',
        scale=96,
        crop_ratio_range=(0.05, 0.14),
    ),
    *colour,
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiView',
        num_views=[2, 6],
        transforms=[view_pipeline1, view_pipeline2],
    ),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
