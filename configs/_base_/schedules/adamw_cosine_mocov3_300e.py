# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# MoCo v3's schedule for ViTs, with the values of the official README for
# ViT-S on 8 GPUs, batch 1,024 (arXiv 2104.02057, section 4.3): AdamW, 1.5e-4
# for each 256 images, weight decay 0.1 on all weights, 300 epochs, 40 of them
# warm-up, then half a cosine to zero.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-4, weight_decay=0.1),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        begin=0,
        end=40,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        T_max=260,
        by_epoch=True,
        begin=40,
        end=300,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=1024)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=300, val_interval=10)
