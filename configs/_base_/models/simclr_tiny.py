# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# mmpretrain's SimCLR for images of 16 pixels: the model of its
# simclr_resnet50_8xb32-coslr-200e_in1k.py with the backbone of the small
# recipes. Widths fit it, and BatchNorm, which runs without a GPU, replaces
# SyncBN. tests/test_configs compares the two.
_base_ = './tiny_convnet.py'

model = dict(
    type='SimCLR',
    neck=dict(
        type='NonLinearNeck',
        in_channels=128,
        hid_channels=128,
        out_channels=64,
        num_layers=2,
        with_avg_pool=True,
        norm_cfg=dict(type='BN1d'),
    ),
    head=dict(
        type='ContrastiveHead',
        loss=dict(type='CrossEntropyLoss'),
        temperature=0.1,
    ),
)
