# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# 200 epochs of LARS, 0.3 for a batch of 256, as in mmpretrain's SimCLR and
# BYOL: ten epochs of warm-up, then a cosine to zero. Biases and BatchNorm have
# no adaptation and no weight decay.
_base_ = 'mmpretrain::_base_/schedules/imagenet_lars_coslr_200e.py'

optim_wrapper = dict(
    optimizer=dict(lr=0.3),
    paramwise_cfg=dict(
        custom_keys={
            'bn': dict(decay_mult=0, lars_exclude=True),
            'bias': dict(decay_mult=0, lars_exclude=True),
            # BatchNorm of the shortcuts
            'downsample.1': dict(decay_mult=0, lars_exclude=True),
        }
    ),
)
train_cfg = dict(val_interval=10)
auto_scale_lr = dict(base_batch_size=256)
