# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL for images of 16 pixels: three convolutions, a small queue, few
# prototypes, and a momentum encoder that follows faster.
model = dict(
    type='PCL',
    queue_len=1024,
    feat_dim=64,
    momentum=0.01,
    num_clusters=[25, 50, 100],
    backbone=dict(
        type='TinyConvNet', channels=(32, 64, 128), strides=(2, 2, 2)
    ),
    neck=dict(
        type='MoCoV2Neck', in_channels=128, hid_channels=128, out_channels=64
    ),
    head=dict(
        type='ContrastiveHead',
        loss=dict(type='CrossEntropyLoss'),
        temperature=0.1,
    ),
    proto_head=dict(type='ProtoNCEHead', num_negatives=64),
)
