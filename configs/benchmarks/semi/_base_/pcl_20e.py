# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL (ICLR 2021), appendix E: batch 256, weight decay 0.0005, learning rate
# 0.01 for the convolutions, 20 epochs, x0.2 after 12 and 16. That of the
# classifier is lr_mult times higher: 0.1 for 10% of the labels, 1 for 1%.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005),
    paramwise_cfg=dict(custom_keys={'head': dict(lr_mult=10.0)}),
)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[12, 16], gamma=0.2)
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=20)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=256)
