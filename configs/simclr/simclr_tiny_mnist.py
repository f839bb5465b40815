# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# SimCLR on 5,000 images of MNIST, with the budget of pclv2_tiny_mnist.py.
_base_ = [
    '../_base_/models/simclr_tiny.py',
    '../_base_/datasets/mnist.py',
    '../_base_/schedules/sgd_cosine_tiny_mnist.py',
    '../_base_/mnist_runtime.py',
]
