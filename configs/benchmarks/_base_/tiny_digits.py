# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# The digits, one unaugmented image a sample, and the small backbone.
_base_ = [
    '../../_base_/models/tiny_convnet.py',
    '../../_base_/datasets/digits_loaders.py',
]

model = dict(
    type='ImageClassifier',
    backbone=dict(
        # tools/benchmarks/classification/train.py fills it in.
        init_cfg=dict(type='Pretrained', checkpoint='', prefix='backbone.'),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=128,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1,),
    ),
)
data_preprocessor = dict(
    _delete_=True,
    num_classes=10,
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
)
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    drop_last=False,
    dataset=dict(pipeline=_base_.test_pipeline),
)
val_evaluator = [dict(type='Accuracy', topk=(1,))]
test_evaluator = val_evaluator
