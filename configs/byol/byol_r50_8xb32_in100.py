# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# BYOL on ImageNet-100: 8 GPUs x 32 images, 200 epochs. Its paper has no
# ImageNet-100. An update for each 256 images: the 4,096 of
# byol_r50_8xb32_in1k.py would be 30 updates an epoch, these are 494, where
# the paper has 312 on ImageNet-1k. Hence its momentum of the target for each
# update, 0.99, and the rate that its 0.3 for 256 images gives.
_base_ = [
    '../_base_/models/byol_r50.py',
    '../_base_/datasets/imagenet100_byol.py',
    '../_base_/schedules/lars_cosine_200e.py',
    '../_base_/default_runtime.py',
]
