# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# SwAV's schedule for a batch of 256: the official
# scripts/swav_200ep_bs256_pretrain.sh, with the momentum of main_swav.py. LARS
# treats all parameters alike. mmpretrain has the same values.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='LARS', lr=0.6, momentum=0.9, weight_decay=1e-6),
)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        T_max=200,
        eta_min=6e-4,
        by_epoch=True,
        begin=0,
        end=200,
        convert_to_iter_based=True,
    )
]
auto_scale_lr = dict(base_batch_size=256)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200, val_interval=10)
