# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC on 10,000 images of Fashion-MNIST (apt-get install
# dataset-fashion-mnist): the digits' model with more prototypes and a longer
# queue.
_base_ = [
    '../_base_/models/pauc_tiny.py',
    '../_base_/datasets/fashion_mnist.py',
    '../_base_/schedules/sgd_cosine_tiny_fashion.py',
    '../_base_/fashion_clustering_runtime.py',
]

model = dict(
    queue_len=2048,
    num_clusters=[100, 250, 500],
    proto_head=dict(num_negatives=256),
)
