# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# MoCo v2, mmpretrain's own, with the parts and the budget of
# pclv2_tiny_mnist.py.
_base_ = [
    '../_base_/models/pclv2_tiny.py',
    '../_base_/datasets/mnist.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,  # MoCo takes no num_clusters
    type='MoCo',
    queue_len=2048,
    feat_dim=_base_.model.feat_dim,
    momentum=_base_.model.momentum,
    backbone=_base_.model.backbone,
    neck=_base_.model.neck,
    head=_base_.model.head,
)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=65, by_epoch=True, begin=0, end=65)
]
train_cfg = dict(max_epochs=65, val_interval=13)
default_hooks = dict(checkpoint=dict(interval=13), logger=dict(interval=31))
val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=_base_.bank_dataloader)
test_cfg = dict(
    type='EmbeddingTestLoop', bank_dataloader=_base_.bank_dataloader
)
