# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# SimCLR on ImageNet-100: 8 GPUs x 32 images, 200 epochs. Only the data set
# differs from simclr_r50_8xb32_in1k.py; its paper has no ImageNet-100.
_base_ = [
    '../_base_/models/simclr_r50.py',
    '../_base_/datasets/imagenet100_simclr.py',
    '../_base_/schedules/lars_cosine_200e.py',
    '../_base_/default_runtime.py',
]
