# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL v2 on ImageNet-100: 8 GPUs x 32 images, 200 epochs.
_base_ = [
    '../_base_/models/pclv2_r50.py',
    '../_base_/datasets/imagenet100_moco_v2.py',
    '../_base_/schedules/sgd_cosine_200e.py',
    '../_base_/clustering_runtime.py',
]

# r = 1024 in the PAUC paper (section 5.1). PCL's eq. 11 has one r for both
# kinds of negatives, and the official code one option. So it is the length of
# the queue (four batches) and the number of negative prototypes.
model = dict(
    queue_len=1024,
    num_clusters=[2500, 5000, 10000],
    proto_head=dict(num_negatives=1024),
)

default_hooks = dict(clustering=dict(pipeline=_base_.test_pipeline))
