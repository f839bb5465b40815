# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL v2 for images of 16 pixels: the parts of mocov2_tiny.py and few
# prototypes.
_base_ = './mocov2_tiny.py'

model = dict(
    type='PCL',
    num_clusters=[25, 50, 100],
    proto_head=dict(type='ProtoNCEHead', num_negatives=64),
)
