# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# From the encoder of configs/pauc/pauc_tiny_mnist.py, on scenes of digits,
# with masks.
_base_ = [
    './_base_/mask-rcnn_tiny.py',
    './_base_/digit_scenes.py',
    './_base_/schedule_tiny.py',
    './_base_/runtime.py',
]

train_pipeline = [
    dict(type='LoadImageFromFile'),
    # Masks as bitmaps: digits have holes.
    dict(
        type='LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=True
    ),
    dict(type='Resize', scale_factor=1.0, keep_ratio=True),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_evaluator = dict(metric=['bbox', 'segm'])
test_evaluator = val_evaluator

default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=8, max_keep_ckpts=1)
)
