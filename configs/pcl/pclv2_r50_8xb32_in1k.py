# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL v2 on ImageNet-1k: 8 GPUs x 32 images, 200 epochs.
_base_ = [
    '../_base_/models/pclv2_r50.py',
    '../_base_/datasets/imagenet_moco_v2.py',
    '../_base_/schedules/sgd_cosine_200e.py',
    '../_base_/clustering_runtime.py',
]

default_hooks = dict(clustering=dict(pipeline=_base_.test_pipeline))
