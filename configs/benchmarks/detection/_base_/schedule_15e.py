# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL, appendix E: batch 8, learning rate 0.05, 15 epochs, x0.1 after 12. The
# warm-up is mmdet's; the paper does not speak of any.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=15, val_interval=3)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500
    ),
    dict(
        type='MultiStepLR',
        begin=0,
        end=15,
        by_epoch=True,
        milestones=[12],
        gamma=0.1,
    ),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=0.0001),
)

auto_scale_lr = dict(enable=False, base_batch_size=8)
