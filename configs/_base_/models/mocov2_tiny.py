# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# mmpretrain's MoCo v2 for images of 16 pixels: three convolutions, a small
# queue, and a faster momentum encoder.
_base_ = './tiny_convnet.py'

model = dict(
    type='MoCo',
    queue_len=1024,
    feat_dim=64,
    momentum=0.01,
    neck=dict(
        type='MoCoV2Neck', in_channels=128, hid_channels=128, out_channels=64
    ),
    head=dict(
        type='ContrastiveHead',
        loss=dict(type='CrossEntropyLoss'),
        temperature=0.1,
    ),
)
