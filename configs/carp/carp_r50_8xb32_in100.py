# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CARP on ImageNet-100: 8 GPUs x 32 images of 2 x 224 + 6 x 96 pixels, 100
# epochs. Its paper has no ImageNet-100; all else is as in
# carp_r50_8xb32_in1k.py.
_base_ = [
    '../_base_/models/carp_r50.py',
    '../_base_/datasets/imagenet100_carp.py',
    '../_base_/schedules/lars_cosine_carp_100e.py',
    '../_base_/default_runtime.py',
]

# A tenth of the images and classes, so a tenth of the prototypes (6,480 would
# be in proportion), in 100 blocks of about a tenth.
model = dict(head=dict(num_prototypes=6400, partition_size=64))
# BatchNorm over all processes, as published; it needs GPUs.
sync_bn = 'torch'
default_hooks = dict(
    collapse_monitor=dict(type='CollapseMonitorHook', interval=10)
)
