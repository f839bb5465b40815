# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL v1 on ImageNet-1k: 8 GPUs x 32 images, 200 epochs.
_base_ = [
    '../_base_/models/pcl_r50.py',
    '../_base_/datasets/imagenet_moco_v1.py',
    '../_base_/schedules/sgd_step_200e.py',
    '../_base_/clustering_runtime.py',
]

default_hooks = dict(clustering=dict(pipeline=_base_.test_pipeline))
