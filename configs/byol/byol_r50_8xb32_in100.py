# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# BYOL on ImageNet-100: 8 GPUs x 32 images, 200 epochs. Its paper has no
# ImageNet-100. Here 256 images make an update. The 4,096 of
# byol_r50_8xb32_in1k.py would make 30 updates an epoch; these make 494, and
# the paper has 312 on ImageNet-1k. Hence the paper's momentum of 0.99 for each
# update, and its rate of 0.3 for 256 images.
_base_ = [
    '../_base_/models/byol_r50.py',
    '../_base_/datasets/imagenet100_byol.py',
    '../_base_/schedules/lars_cosine_200e.py',
    '../_base_/default_runtime.py',
]
