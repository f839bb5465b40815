# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Mask R-CNN with a feature pyramid as in MoCo (CVPR 2020, section 4.2): every
# layer is trained, BatchNorm too, which is synchronised, and also in the new
# layers of the pyramid.
_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(
        frozen_stages=-1,  # 0 would freeze the stem
        norm_cfg=norm_cfg,
        norm_eval=False,
        # tools/benchmarks/detection/train.py fills it in.
        init_cfg=dict(type='Pretrained', checkpoint='', prefix='backbone.'),
    ),
    neck=dict(norm_cfg=norm_cfg),
)
