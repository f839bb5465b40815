# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# The 100 classes of CMC, read from an ImageNet folder without a copy;
# CARP's views.
_base_ = './imagenet_carp.py'

train_dataloader = dict(dataset=dict(type='ImageNet100'))
bank_dataloader = dict(dataset=dict(type='ImageNet100'))
val_dataloader = dict(dataset=dict(type='ImageNet100'))
val_cfg = dict(bank_dataloader=bank_dataloader)
test_dataloader = val_dataloader
test_cfg = dict(bank_dataloader=bank_dataloader)
