# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CARP with ViT-S/16 on ImageNet-1k: 8 GPUs x 128 images of 2 x 224 + 6 x 96
# pixels, 300 epochs.
_base_ = [
    '../_base_/models/carp_vits16.py',
    '../_base_/datasets/imagenet_carp.py',
    '../_base_/schedules/adamw_cosine_mocov3_300e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=128)
# BatchNorm of the projection over all processes, as published; it needs GPUs.
sync_bn = 'torch'
default_hooks = dict(
    collapse_monitor=dict(type='CollapseMonitorHook', interval=10)
)
