# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# MoCo v2 for ImageNet-1k: the model of mmpretrain's
# mocov2_resnet50_8xb32-coslr-200e_in1k.py, as in the paper and the official
# code. A recipe cannot inherit that file beside our bases, since both set the
# hooks; tests/test_configs compares the two.
model = dict(
    type='MoCo',
    queue_len=65536,
    feat_dim=128,
    momentum=0.001,  # m = 0.999 in the paper's notation
    backbone=dict(
        type='ResNet',
        depth=50,
        norm_cfg=dict(type='BN'),
        zero_init_residual=False,
    ),
    neck=dict(
        type='MoCoV2Neck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=128,
        with_avg_pool=True,
    ),
    head=dict(
        type='ContrastiveHead',
        loss=dict(type='CrossEntropyLoss'),
        temperature=0.2,
    ),
)
