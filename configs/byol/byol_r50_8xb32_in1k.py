# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# BYOL on ImageNet-1k: 8 GPUs x 32 images, an update for each 16 steps, 200
# epochs. So an update sees the paper's 4,096 images and takes mmpretrain's
# learning rate for them, 4.8, on GPUs that hold 32.
_base_ = [
    '../_base_/models/byol_r50.py',
    '../_base_/datasets/imagenet_byol.py',
    '../_base_/schedules/lars_cosine_200e.py',
    '../_base_/default_runtime.py',
]

# The target follows in every step, not in every update: a sixteenth of 0.01
# each, since (1 - 0.01 / 16) ** 16 is 0.99.
model = dict(base_momentum=0.01 / 16)
optim_wrapper = dict(accumulative_counts=16, optimizer=dict(lr=4.8))
