# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# 120 epochs of 11 batches on the digits: about 1,300 cheap steps.
# Learning rate: of 0.0133, 0.04, 0.12 and 0.36, each method's best or within
# 0.5 points of it (BYOL on MNIST: 0.9), by kNN among the training images of
# digits and MNIST. At 0.36 several collapse (docs/results.md). CARP has its
# own.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.04, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=120, by_epoch=True, begin=0, end=120)
]
auto_scale_lr = dict(base_batch_size=128)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=120, val_interval=40)
