# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CARP's schedule: LARS at 0.45 for each 256 images, along half a cosine to
# 0.0048; weight decay 1e-6 on matrices and kernels only.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='LARS', lr=0.45, momentum=0.9, weight_decay=1e-6),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={
            'bn': dict(decay_mult=0.0, lars_exclude=True),
            'bias': dict(decay_mult=0.0, lars_exclude=True),
            # BatchNorm within the projections, and of the shortcuts
            'mlp.1.': dict(decay_mult=0.0, lars_exclude=True),
            'mlp.4.': dict(decay_mult=0.0, lars_exclude=True),
            'downsample.1': dict(decay_mult=0.0, lars_exclude=True),
        },
    ),
)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=100,
        eta_min=0.0048,
        by_epoch=True,
        begin=0,
        end=100,
        convert_to_iter_based=True,
    )
]
auto_scale_lr = dict(base_batch_size=256)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=10)
