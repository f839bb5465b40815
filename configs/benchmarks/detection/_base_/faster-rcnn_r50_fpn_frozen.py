# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Faster R-CNN with the body frozen, as in PCL (ICLR 2021), appendix E: neither
# convolutions nor BatchNorm change; only new layers are trained.
_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'

model = dict(
    backbone=dict(
        frozen_stages=4,
        norm_eval=True,
        # tools/benchmarks/detection/train.py fills it in.
        init_cfg=dict(type='Pretrained', checkpoint='', prefix='backbone.'),
    ),
    roi_head=dict(bbox_head=dict(num_classes=20)),
)
