# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# SwAV for ImageNet-1k: the model of mmpretrain's
# swav_resnet50_8xb32-mcrop-coslr-200e_in1k-224px-96px.py, which has the values
# of the official code. See mocov2_r50.py for why it is written out.
#
# Unlike the official code, mmpretrain spreads the images and queue of each
# process evenly over the prototypes, not those of all processes together.
model = dict(
    type='SwAV',
    backbone=dict(
        type='ResNet',
        depth=50,
        norm_cfg=dict(type='SyncBN'),
        zero_init_residual=True,
    ),
    neck=dict(
        type='SwAVNeck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=128,
        with_avg_pool=True,
    ),
    head=dict(
        type='SwAVHead',
        loss=dict(
            type='SwAVLoss',
            feat_dim=128,
            epsilon=0.05,
            temperature=0.1,
            num_crops=[2, 6],
            num_prototypes=3000,
        ),
    ),
)
# The prototypes take part in no gradient while they are frozen.
find_unused_parameters = True
