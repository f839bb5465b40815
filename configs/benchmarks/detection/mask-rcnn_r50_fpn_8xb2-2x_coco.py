# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# MoCo's Mask R-CNN with a feature pyramid on COCO:
# 8 GPUs x 2 images, 24 epochs.
_base_ = [
    './_base_/mask-rcnn_r50_fpn_bn.py',
    './_base_/coco_ms.py',
    'mmdet::_base_/schedules/schedule_2x.py',
    './_base_/runtime.py',
]

default_hooks = dict(
    # Statistics of BatchNorm from 200 steps before each evaluation.
    precise_bn=dict(type='mmpretrain.DetectorPreciseBNHook', num_samples=3200)
)
