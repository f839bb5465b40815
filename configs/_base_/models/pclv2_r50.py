# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL v2: the MLP projection and the temperature of MoCo v2.
_base_ = './pcl_r50.py'

model = dict(
    neck=dict(
        _delete_=True,
        type='MoCoV2Neck',
        in_channels=2048,
        hid_channels=2048,
        out_channels=128,
        with_avg_pool=True,
    ),
    head=dict(temperature=0.2),
)
