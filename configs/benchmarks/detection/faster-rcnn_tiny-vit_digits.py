# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# A ViT under Faster R-CNN, on scenes of digits: its patches are one level of
# the pyramid, and a level of half the resolution is pooled from it.
# model.backbone is that of the pretraining, but for the size of the images, to
# which mmpretrain interpolates the positions, and the form of the output.
_base_ = './faster-rcnn_tiny_digits.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.VisionTransformer',
        arch=dict(
            embed_dims=96,
            num_layers=4,
            num_heads=3,
            feedforward_channels=384,
        ),
        img_size=128,
        patch_size=8,
        out_type='featmap',
        init_cfg=dict(type='Pretrained', checkpoint='', prefix='backbone.'),
    ),
    neck=dict(in_channels=[96], num_outs=2),
    rpn_head=dict(anchor_generator=dict(scales=[2, 3], strides=[8, 16])),
    roi_head=dict(bbox_roi_extractor=dict(featmap_strides=[8])),
)
