# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CLD on MoCo v2 for ImageNet-1k: the settings of the paper (CVPR 2021). The
# official train_imagenet_mocov2_cld.sh has the same values except
# num_clusters=100. It clusters the 64 samples of each GPU. Here the whole
# batch is clustered, and must be larger than num_clusters.
_base_ = './mocov2_r50.py'

model = dict(
    type='CLD',
    num_clusters=120,
    num_iters=5,
    group_temperature=0.4,
    group_weight=0.25,
    centroid_grad=True,  # as in the official code
    neck=dict(
        _delete_=True,
        type='CLDNeck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=128,
        norm_linear=True,
    ),
)
