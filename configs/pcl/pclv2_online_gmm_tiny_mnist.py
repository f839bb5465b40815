# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL on 5,000 images of MNIST without an E-step; see
# pclv2_online_gmm_tiny_digits.py. 65 epochs of 31 batches: 2,015 steps.
_base_ = [
    '../_base_/models/pclv2_tiny.py',
    '../_base_/datasets/mnist.py',
    '../_base_/schedules/sgd_cosine_tiny_mnist.py',
    '../_base_/mnist_runtime.py',
]

model = dict(
    queue_len=2048,
    num_clusters=[50, 100, 250],
    proto_head=dict(num_negatives=128),
    # Warm-up: 13 epochs.
    prototypes=dict(type='MixturePrototypes', eta=0.95, warmup_steps=403),
)
default_hooks = dict(
    collapse_monitor=dict(type='CollapseMonitorHook', interval=10)
)
