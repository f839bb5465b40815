# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Faster R-CNN on the backbone of configs/pauc/pauc_tiny_mnist.py, for scenes
# of about 128 pixels: a pyramid over its last two stages, all of it narrow.
_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'

strides = [4, 8, 16]
model = dict(
    # As in pretraining.
    data_preprocessor=dict(
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        bgr_to_rgb=True,
        pad_size_divisor=8,
    ),
    backbone=dict(
        _delete_=True,
        type='mmpretrain.TinyConvNet',
        channels=(32, 64, 128),
        strides=(2, 2, 2),
        out_indices=(1, 2),
        # 3 freezes the weights of all stages. The statistics of BatchNorm
        # follow the scenes in any case, so that random weights, which come
        # with none, are not at a disadvantage.
        frozen_stages=0,
        norm_eval=False,
        # tools/benchmarks/detection/train.py fills it in.
        init_cfg=dict(type='Pretrained', checkpoint='', prefix='backbone.'),
    ),
    neck=dict(in_channels=[64, 128], out_channels=32, num_outs=3),
    rpn_head=dict(
        in_channels=32,
        feat_channels=32,
        anchor_generator=dict(
            scales=[3], ratios=[1.0, 1.5, 3.0], strides=strides
        ),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(
            out_channels=32, featmap_strides=strides[:2], finest_scale=16
        ),
        bbox_head=dict(in_channels=32, fc_out_channels=128, num_classes=10),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=300, max_per_img=100),
        rcnn=dict(sampler=dict(num=64)),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=300, max_per_img=50), rcnn=dict(max_per_img=30)
    ),
)
