# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL (ICLR 2021), appendix E: 40 epochs from a learning rate of 0.3, no weight
# decay. It names neither the batch nor when the rate falls. Ours: 256, as in
# all its other runs, and x0.1 after 60% and 80%, as on ImageNet.
_base_ = './moco_100e.py'

train_cfg = dict(max_epochs=40)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[24, 32], gamma=0.1)
]
optim_wrapper = dict(optimizer=dict(lr=0.3))
