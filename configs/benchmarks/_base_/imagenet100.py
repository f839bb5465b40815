# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# The 100 classes of CMC, read from an ImageNet folder without a copy.
_base_ = './imagenet.py'

data_preprocessor = dict(num_classes=100)
train_dataloader = dict(dataset=dict(type='ImageNet100'))
val_dataloader = dict(dataset=dict(type='ImageNet100'))
test_dataloader = val_dataloader
