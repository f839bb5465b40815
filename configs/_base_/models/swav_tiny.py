# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# mmpretrain's SwAV for images of 16 pixels: the model of its
# swav_resnet50_8xb32-mcrop-coslr-200e_in1k-224px-96px.py with the backbone of
# the small recipes. Widths fit it, and BatchNorm, which runs without a GPU,
# replaces SyncBN. tests/test_configs compares the two.
_base_ = './tiny_convnet.py'

model = dict(
    type='SwAV',
    neck=dict(
        type='SwAVNeck',
        in_channels=128,
        hid_channels=128,
        out_channels=64,
        with_avg_pool=True,
        norm_cfg=dict(type='BN1d'),
    ),
    head=dict(
        type='SwAVHead',
        loss=dict(
            type='SwAVLoss',
            feat_dim=64,
            epsilon=0.05,
            temperature=0.1,
            # Two views of one size, as the other small recipes have.
            num_crops=[2],
            # Two images of a batch for each, so that a batch alone can be
            # spread evenly over them: the paper's batch of 4,096 has 3,000
            # prototypes, 1.4 for each, and its batch of 256 needs a queue of
            # 3,840. Here none is needed, nor the files beside the checkpoint
            # in which SwAVHook keeps it.
            num_prototypes=64,
        ),
    ),
)
