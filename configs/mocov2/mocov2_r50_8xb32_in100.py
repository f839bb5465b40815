# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# MoCo v2 on ImageNet-100: 8 GPUs x 32 images, 200 epochs. The queue is that of
# pclv2_r50_8xb32_in100.py, which differs only in ProtoNCE.
_base_ = [
    '../_base_/models/mocov2_r50.py',
    '../_base_/datasets/imagenet100_moco_v2.py',
    '../_base_/schedules/sgd_cosine_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(queue_len=1024)
