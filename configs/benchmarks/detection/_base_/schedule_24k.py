# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# MoCo, detection/configs/pascal_voc_R_50_C4_24k.yaml: 24,000 steps of 16
# images, learning rate 0.02, x0.1 after 18,000 and 22,000.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=24000, val_interval=6000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=100
    ),
    dict(
        type='MultiStepLR',
        begin=0,
        end=24000,
        by_epoch=False,
        milestones=[18000, 22000],
        gamma=0.1,
    ),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001),
)

auto_scale_lr = dict(enable=False, base_batch_size=16)
