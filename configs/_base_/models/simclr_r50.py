# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# SimCLR for ImageNet-1k: the model of mmpretrain's
# simclr_resnet50_8xb32-coslr-200e_in1k.py. See mocov2_r50.py for why it is
# written out.
model = dict(
    type='SimCLR',
    backbone=dict(
        type='ResNet',
        depth=50,
        norm_cfg=dict(type='SyncBN'),
        zero_init_residual=True,
    ),
    neck=dict(
        type='NonLinearNeck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=128,
        num_layers=2,
        with_avg_pool=True,
    ),
    head=dict(
        type='ContrastiveHead',
        loss=dict(type='CrossEntropyLoss'),
        temperature=0.1,
    ),
)
