# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CARP on ImageNet-1k: 8 GPUs x 32 images of 2 x 224 + 6 x 96 pixels, 100
# epochs. The paper reports 72.5 (linear) and 63.5 (kNN) for this length.
_base_ = [
    '../_base_/models/carp_r50.py',
    '../_base_/datasets/imagenet_carp.py',
    '../_base_/schedules/lars_cosine_carp_100e.py',
    '../_base_/default_runtime.py',
]

# BatchNorm over all processes, as published; it needs GPUs.
sync_bn = 'torch'
default_hooks = dict(
    collapse_monitor=dict(type='CollapseMonitorHook', interval=10)
)
