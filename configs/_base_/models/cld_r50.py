# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CLD on MoCo v2 for ImageNet-1k: the settings of the paper (CVPR 2021). The
# script of the official code, train_imagenet_mocov2_cld.sh, has the same
# values but for num_clusters=100. It clusters the 64 samples of each GPU; here
# it is the whole batch that must be larger than num_clusters.
model = dict(
    type='CLD',
    queue_len=65536,
    feat_dim=128,
    momentum=0.001,  # m = 0.999 in the paper's notation
    num_clusters=120,
    num_iters=5,
    group_temperature=0.4,
    group_weight=0.25,
    centroid_grad=True,  # as in the official code
    backbone=dict(
        type='ResNet',
        depth=50,
        norm_cfg=dict(type='BN'),
        zero_init_residual=False,
    ),
    neck=dict(
        type='CLDNeck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=128,
        norm_linear=True,
    ),
    head=dict(
        type='ContrastiveHead',
        loss=dict(type='CrossEntropyLoss'),
        temperature=0.2,
    ),
)
