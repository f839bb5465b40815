# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Any folder of images, with or without sub-folders, no labels. Environment
# variables hold for training, the E-step and evaluation:
#   DATA_ROOT   the folder; data/my_images by default
#   IMAGE_SIZE  side of the training crops in pixels; 128 by default
#   CORRUPT     what to do with images that do not decode: error (by default),
#               skip or unchecked
#   IMAGE_BITS  bits in use, 8 to 16, of images with 16 bits a channel;
#               the upper 8 are taken by default
#   BACKGROUND  colour below transparent pixels, such as 255,255,255 (red,
#               green, blue); by default that which the file has there
data_root = """{{$DATA_ROOT:data/my_images}}"""
corrupt = '{{$CORRUPT:error}}'
image_size = int('{{$IMAGE_SIZE:128}}')
background = '{{$BACKGROUND:none}}'
load = dict(
    type='LoadImageAs8Bit',
    bits=int('{{$IMAGE_BITS:0}}') or None,
    background=None if background == 'none' else background.split(','),
)

data_preprocessor = dict(
    type='SelfSupDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)

# MoCo v1's augmentation, as in imagenet_moco_v1.py.
view_pipeline = [
    dict(
        type='ViewResizedCrop',
        scale=image_size,
        crop_ratio_range=(0.2, 1.0),
    ),
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
    load,
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
# One centred view; 256 to 224 on ImageNet, the same share here.
test_pipeline = [
    load,
    dict(
        type='ResizeEdge',
        scale=image_size * 8 // 7,
        edge='short',
        backend='pillow',
    ),
    dict(type='CenterCrop', crop_size=image_size),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    batch_size=128,
    num_workers=4,
    drop_last=True,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='ImageFolder',
        data_root=data_root,
        corrupt=corrupt,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=4,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='ImageFolder',
        data_root=data_root,
        corrupt=corrupt,
        pipeline=test_pipeline,
    ),
)
val_evaluator = [dict(type='NEMD', groups='clusters')]
val_cfg = dict(type='EmbeddingValLoop')

test_dataloader = val_dataloader
test_evaluator = val_evaluator
test_cfg = dict(type='EmbeddingTestLoop')
