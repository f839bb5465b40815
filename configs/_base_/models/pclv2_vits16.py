# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL v2 with MoCo v3's ViT-S/16 (arXiv 2104.02057, sections 4.2 and 4.3): 12
# heads, fixed sine-cosine positions, a random patch projection that stays as
# it is. All else is pclv2_r50.py's, by our choice.
_base_ = './pclv2_r50.py'

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
