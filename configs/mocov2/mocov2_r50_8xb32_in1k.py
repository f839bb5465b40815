# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# MoCo v2 on ImageNet-1k: 8 GPUs x 32 images, 200 epochs, as published (arXiv
# 2003.04297 and its code). The paper reports 67.5 (linear) for this length.
_base_ = [
    '../_base_/models/mocov2_r50.py',
    '../_base_/datasets/imagenet_moco_v2.py',
    '../_base_/schedules/sgd_cosine_200e.py',
    '../_base_/default_runtime.py',
]
