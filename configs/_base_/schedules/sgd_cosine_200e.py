# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# 200 epochs of SGD, 0.03 for a batch of 256, to zero along a cosine.
_base_ = 'mmpretrain::_base_/schedules/imagenet_sgd_coslr_200e.py'

train_cfg = dict(val_interval=10)
auto_scale_lr = dict(base_batch_size=256)
