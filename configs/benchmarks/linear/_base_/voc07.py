# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Classification of VOC2007, 20 classes, several an image: trainval and test,
# in data/VOCdevkit or VOC_ROOT, with the crops of ImageNet. A class that an
# image shows in difficult examples only counts as absent in training and is
# left out of the mean average precision.
_base_ = 'mmpretrain::_base_/datasets/voc_bs16.py'

data_root = """{{$VOC_ROOT:data/VOCdevkit}}/VOC2007"""

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=224, backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    _base_.test_pipeline[-1],
]
train_dataloader = dict(
    batch_size=32,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=32,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=dict(data_root=data_root, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
