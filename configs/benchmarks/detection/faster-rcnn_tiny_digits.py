# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# From the encoder of configs/pauc/pauc_tiny_mnist.py, on scenes of digits.
_base_ = [
    './_base_/faster-rcnn_tiny.py',
    './_base_/digit_scenes.py',
    './_base_/schedule_tiny.py',
    './_base_/runtime.py',
]

default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=8, max_keep_ckpts=1)
)
