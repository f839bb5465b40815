# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL v1 for images of 16 pixels: as pclv2_tiny.py, but with a projection of
# one linear layer. PCL v2 also has stronger augmentation and a cosine schedule
# (appendix A of the paper), which are the same in all small recipes.
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
