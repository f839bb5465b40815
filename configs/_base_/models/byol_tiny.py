# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# mmpretrain's BYOL for images of 16 pixels: the model of its
# byol_resnet50_16xb256-coslr-200e_in1k.py with the backbone of the small
# recipes. Widths fit it (hidden layers are twice as wide as the features), and
# BatchNorm, which runs without a GPU, replaces SyncBN. tests/test_configs
# compares the two.
_base_ = './tiny_convnet.py'

model = dict(
    type='BYOL',
    base_momentum=0.01,
    neck=dict(
        type='NonLinearNeck',
        in_channels=128,
        hid_channels=256,
        out_channels=64,
        num_layers=2,
        with_bias=True,
        with_last_bn=False,
        with_avg_pool=True,
        norm_cfg=dict(type='BN1d'),
    ),
    head=dict(
        type='LatentPredictHead',
        predictor=dict(
            type='NonLinearNeck',
            in_channels=64,
            hid_channels=256,
            out_channels=64,
            num_layers=2,
            with_bias=True,
            with_last_bn=False,
            with_avg_pool=False,
            norm_cfg=dict(type='BN1d'),
        ),
        loss=dict(type='CosineSimilarityLoss'),
    ),
)
