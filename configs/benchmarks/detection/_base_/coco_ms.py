# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# COCO 2017 as in MoCo: the shorter side is one of 640 to 800 in training and
# 800 in testing. The folder is data/coco, or the environment variable
# COCO_ROOT; it holds train2017, val2017 and annotations.
_base_ = 'mmdet::_base_/datasets/coco_instance.py'

data_root = """{{$COCO_ROOT:data/coco}}"""

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='RandomChoiceResize',
        scales=[(1333, side) for side in range(640, 801, 32)],
        keep_ratio=True,
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    collate_fn=dict(type='pseudo_collate'), dataset=dict(data_root=data_root)
)
test_dataloader = val_dataloader

val_evaluator = dict(
    ann_file=f'{data_root}/annotations/instances_val2017.json'
)
test_evaluator = val_evaluator
