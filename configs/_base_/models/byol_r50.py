# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# BYOL for ImageNet-1k: the model of mmpretrain's
# byol_resnet50_16xb256-coslr-200e_in1k.py. See mocov2_r50.py for why it is
# written out.
model = dict(
    type='BYOL',
    base_momentum=0.01,  # tau of 0.99, rising to 1 by half a cosine
    backbone=dict(
        type='ResNet',
        depth=50,
        norm_cfg=dict(type='SyncBN'),
        zero_init_residual=False,
    ),
    neck=dict(
        type='NonLinearNeck',
        in_channels=2048,
        hid_channels=4096,
        out_channels=256,
        num_layers=2,
        with_bias=True,
        with_last_bn=False,
        with_avg_pool=True,
    ),
    head=dict(
        type='LatentPredictHead',
        predictor=dict(
            type='NonLinearNeck',
            in_channels=256,
            hid_channels=4096,
            out_channels=256,
            num_layers=2,
            with_bias=True,
            with_last_bn=False,
            with_avg_pool=False,
        ),
        loss=dict(type='CosineSimilarityLoss'),
    ),
)
