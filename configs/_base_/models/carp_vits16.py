# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CARP with MoCo v3's ViT-S/16, see pauc_vits16.py. For local views of 96
# pixels its positions are interpolated to 6x6 patches. Why Prototypes Collapse
# trains a ViT-S, but we have not seen its values: all else is carp_r50.py's.
_base_ = './carp_r50.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='MoCoV3ViT',
        arch='mocov3-small',
        img_size=224,
        patch_size=16,
        stop_grad_conv1=True,
    ),
    neck=dict(in_channels=384),
)
