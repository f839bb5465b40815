# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# MoCo's detection on VOC: 8 GPUs x 2 images.
_base_ = [
    './_base_/faster-rcnn_r50-c4_bn.py',
    './_base_/voc0712_ms.py',
    './_base_/schedule_24k.py',
    './_base_/runtime.py',
]

default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=6000),
    # Statistics of BatchNorm from 200 steps before each evaluation.
    precise_bn=dict(
        type='mmpretrain.DetectorPreciseBNHook',
        num_samples=3200,
        interval=6000,
    ),
)
log_processor = dict(by_epoch=False)
