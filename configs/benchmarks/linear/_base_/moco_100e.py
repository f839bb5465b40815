# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# MoCo (CVPR 2020), section 4.1, and its main_lincls.py: learning rate 30 for
# a batch of 256, no weight decay, 100 epochs, x0.1 after 60 and 80.
_base_ = 'mmpretrain::_base_/schedules/imagenet_sgd_steplr_100e.py'

optim_wrapper = dict(optimizer=dict(lr=30.0, weight_decay=0.0))
auto_scale_lr = dict(base_batch_size=256)
