# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Scenes of digits, made by experiments/make_digit_scenes.py in the folder
# data/digit_scenes, or the environment variable DIGIT_SCENES_ROOT;
# in COCO's form. They are used at their own size, and never mirrored: a
# mirrored 2 is no 2.
_base_ = 'mmdet::_base_/datasets/coco_instance.py'

data_root = """{{$DIGIT_SCENES_ROOT:data/digit_scenes}}"""
metainfo = dict(classes=tuple('0123456789'))
image_prefix = dict(img='VOC2007/JPEGImages/')

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale_factor=1.0, keep_ratio=True),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale_factor=1.0, keep_ratio=True),
    dict(
        type='PackDetInputs',
        meta_keys=(
            'img_id',
            'img_path',
            'ori_shape',
            'img_shape',
            'scale_factor',
        ),
    ),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/instances_train.json',
        data_prefix=image_prefix,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/instances_val.json',
        data_prefix=image_prefix,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    ann_file=f'{data_root}/annotations/instances_val.json', metric='bbox'
)
test_evaluator = val_evaluator
