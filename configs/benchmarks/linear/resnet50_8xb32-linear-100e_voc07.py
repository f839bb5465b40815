# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# A linear classifier of several labels an image on VOC2007, scored by mAP.
# The settings are ours: PCL and MoCo name none, since the papers' protocol is
# the SVM of tools/benchmarks/low_shot_svm.py. The epochs are those of
# ImageNet, the learning rate is a start: try 0.1 to 10 with a new checkpoint.
_base_ = [
    './_base_/resnet50_frozen.py',
    './_base_/voc07.py',
    './_base_/moco_100e.py',
    '../_base_/classification_runtime.py',
]

model = dict(
    head=dict(
        _delete_=True,
        type='MultiLabelLinearClsHead',
        num_classes=20,
        in_channels=2048,
        loss=dict(type='CrossEntropyLoss', use_sigmoid=True),
    )
)
optim_wrapper = dict(optimizer=dict(lr=1.0))
train_cfg = dict(val_interval=10)  # an epoch has 20 steps
