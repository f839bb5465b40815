# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC on ImageNet-100: 8 GPUs x 32 images, 200 epochs.
_base_ = [
    '../_base_/models/pauc_r50.py',
    '../_base_/datasets/imagenet100_moco_v1.py',
    '../_base_/schedules/sgd_step_200e.py',
    '../_base_/clustering_runtime.py',
]

# See pcl_r50_8xb32_in100.py.
model = dict(
    queue_len=1024,
    num_clusters=[2500, 5000, 10000],
    proto_head=dict(num_negatives=1024),
)

default_hooks = dict(clustering=dict(pipeline=_base_.test_pipeline))
