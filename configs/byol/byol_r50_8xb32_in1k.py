# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# BYOL on ImageNet-1k: 8 GPUs x 32 images, an update every 16 steps, 200
# epochs. An update sees the paper's 4,096 images, with mmpretrain's learning
# rate for them, 4.8.
_base_ = [
    '../_base_/models/byol_r50.py',
    '../_base_/datasets/imagenet_byol.py',
    '../_base_/schedules/lars_cosine_200e.py',
    '../_base_/default_runtime.py',
]

# The target follows in every step, not in every update: by a sixteenth of
# 0.01, since (1 - 0.01 / 16) ** 16 is 0.99.
model = dict(base_momentum=0.01 / 16)
optim_wrapper = dict(accumulative_counts=16, optimizer=dict(lr=4.8))
