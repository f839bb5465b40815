# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# mmpretrain's MoCo v2 with the parts and the budget of pclv2_tiny_fashion.py.
_base_ = [
    '../_base_/models/mocov2_tiny.py',
    '../_base_/datasets/fashion_mnist.py',
    '../_base_/schedules/sgd_cosine_tiny_fashion.py',
    '../_base_/fashion_runtime.py',
]

model = dict(queue_len=2048)
