# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL v1 for images of 16 pixels: pclv2_tiny.py with a linear projection. PCL
# v2's other changes, stronger augmentation and a cosine schedule (appendix A
# of the paper), are in all small recipes.
_base_ = './pclv2_tiny.py'

model = dict(
    neck=dict(
        _delete_=True,
        type='LinearNeck',
        in_channels=128,
        out_channels=64,
        gap_dim=2,
        norm_cfg=None,
    )
)
