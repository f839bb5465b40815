# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL v1 for ImageNet-1k (ICLR 2021, appendix A). The paper's r = 16000 is
# 16384 for the queue, a multiple of the batch, as in the official code.
model = dict(
    type='PCL',
    queue_len=16384,
    feat_dim=128,
    momentum=0.001,  # m = 0.999 in the paper's notation
    num_clusters=[25000, 50000, 100000],
    backbone=dict(
        type='ResNet',
        depth=50,
        norm_cfg=dict(type='BN'),
        zero_init_residual=False,
    ),
    neck=dict(
        type='LinearNeck',
        in_channels=2048,
        out_channels=128,
        gap_dim=2,
        norm_cfg=None,
    ),
    head=dict(
        type='ContrastiveHead',
        loss=dict(type='CrossEntropyLoss'),
        temperature=0.1,
    ),
    proto_head=dict(
        type='ProtoNCEHead', num_negatives=16000, mask_same_cluster=True
    ),
)
