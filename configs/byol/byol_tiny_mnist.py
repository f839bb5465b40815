# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# BYOL on 5,000 images of MNIST, with the budget of pclv2_tiny_mnist.py.
_base_ = [
    '../_base_/models/byol_tiny.py',
    '../_base_/datasets/mnist.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/default_runtime.py',
]

param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=65, by_epoch=True, begin=0, end=65)
]
train_cfg = dict(max_epochs=65, val_interval=13)
default_hooks = dict(checkpoint=dict(interval=13), logger=dict(interval=31))
val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=_base_.bank_dataloader)
test_cfg = dict(
    type='EmbeddingTestLoop', bank_dataloader=_base_.bank_dataloader
)
