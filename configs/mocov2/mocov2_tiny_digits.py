# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# MoCo v2, mmpretrain's own, with the budget of pclv2_tiny_digits.py.
_base_ = [
    '../_base_/datasets/digits.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='MoCo',
    queue_len=1024,
    feat_dim=64,
    momentum=0.01,
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
)
default_hooks = dict(checkpoint=dict(interval=20), logger=dict(interval=11))
val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=_base_.bank_dataloader)
test_cfg = dict(
    type='EmbeddingTestLoop', bank_dataloader=_base_.bank_dataloader
)
