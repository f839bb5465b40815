# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# ImageNet-1k with MoCo v2's augmentation. The folder is data/imagenet, or the
# environment variable IMAGENET_ROOT; it holds train and val.
_base_ = 'mmpretrain::_base_/datasets/imagenet_bs32_mocov2.py'

data_root = """{{$IMAGENET_ROOT:data/imagenet}}"""

# MoCo v2's distributions; the transforms are ours, faster than mmpretrain's
# on a CPU. To augment where the model is, with workers that load and crop:
#   --cfg-options data_preprocessor.type=DeviceAugmentation
# It is not the default since it was not measured on a GPU
# (docs/performance.md).
view_pipeline = [
    dict(type='ViewResizedCrop', scale=224, crop_ratio_range=(0.2, 1.0)),
    dict(
        type='ViewColorJitter',
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        prob=0.8,
    ),
    dict(type='ViewGrayscale', prob=0.2),
    dict(type='ViewGaussianBlur', sigma=(0.1, 2.0), prob=0.5),
    dict(type='ViewFlip', prob=0.5),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
# One centred view, for the E-step and evaluation.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]

# Workers that do not persist get a new seed each epoch: a resumed run sees the
# augmentations of an uninterrupted one.
train_dataloader = dict(
    persistent_workers=False,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
# kNN searches the neighbours of validation images among these.
bank_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='ImageNet',
        data_root=data_root,
        split='train',
        pipeline=test_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='ImageNet',
        data_root=data_root,
        split='val',
        pipeline=test_pipeline,
    ),
)
# 128 dimensions, not 2048: the bank of ImageNet-1k is 0.6 GiB, not 10.
val_evaluator = [
    dict(type='KNNAccuracy', k=(20, 200), field='embedding'),
    dict(type='NEMD', groups='labels'),
]
val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=bank_dataloader)

test_dataloader = val_dataloader
test_evaluator = val_evaluator
test_cfg = dict(type='EmbeddingTestLoop', bank_dataloader=bank_dataloader)
