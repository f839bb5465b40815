# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# All of ResNet-50 is trained, BatchNorm's statistics included.
_base_ = 'mmpretrain::_base_/models/resnet50.py'

model = dict(
    backbone=dict(
        # tools/benchmarks/classification/train.py fills it in.
        init_cfg=dict(type='Pretrained', checkpoint='', prefix='backbone.'),
    ),
)
