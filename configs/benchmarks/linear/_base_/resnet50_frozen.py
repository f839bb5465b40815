# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Frozen ResNet-50, weights and BatchNorm statistics, and a linear classifier
# on its 2,048 averaged features.
_base_ = 'mmpretrain::_base_/models/resnet50.py'

model = dict(
    backbone=dict(
        frozen_stages=4,
        norm_eval=True,
        # tools/benchmarks/classification/train.py fills it in.
        init_cfg=dict(type='Pretrained', checkpoint='', prefix='backbone.'),
    ),
)
