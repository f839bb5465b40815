# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Faster R-CNN with a C4 backbone as in MoCo (CVPR 2020, section 4.2, and its
# detection/configs): every layer is trained, BatchNorm too, which is
# synchronised; one more BatchNorm follows the fifth stage in the head.
_base_ = 'mmdet::_base_/models/faster-rcnn_r50-caffe-c4.py'

norm_cfg = dict(type='SyncBN', requires_grad=True)
# tools/benchmarks/detection/train.py fills it in.
init_cfg = dict(type='Pretrained', checkpoint='', prefix='backbone.')
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        frozen_stages=-1,  # 0 would freeze the stem
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch',
        init_cfg=init_cfg,
    ),
    roi_head=dict(
        shared_head=dict(
            type='ResLayerExtraNorm',
            norm_cfg=norm_cfg,
            norm_eval=False,
            style='pytorch',
            init_cfg=init_cfg,
        ),
        bbox_head=dict(num_classes=20),
    ),
)
