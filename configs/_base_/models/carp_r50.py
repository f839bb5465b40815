# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CARP for ImageNet-1k (NeurIPS 2023), with the values of the paper, the
# defaults of its official code.
model = dict(
    type='CARP',
    feat_dim=256,
    momentum=0.01,  # of 0.99, rising to 1 by half a cosine
    backbone=dict(
        type='ResNet',
        depth=50,
        norm_cfg=dict(type='BN'),
        zero_init_residual=True,
    ),
    neck=dict(
        type='CARPNeck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=256,
        num_layers=3,
    ),
    head=dict(type='CARPHead', num_prototypes=65536, partition_size=512),
)
