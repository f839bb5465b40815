# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# mmpretrain's MoCo v2 with the parts and the budget of pclv2_tiny_mnist.py.
_base_ = [
    '../_base_/models/mocov2_tiny.py',
    '../_base_/datasets/mnist.py',
    '../_base_/schedules/sgd_cosine_tiny_mnist.py',
    '../_base_/mnist_runtime.py',
]

model = dict(queue_len=2048)
