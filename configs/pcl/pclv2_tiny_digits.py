# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL on scikit-learn's digits: runs on a laptop in a few minutes.
_base_ = [
    '../_base_/models/pclv2_tiny.py',
    '../_base_/datasets/digits.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/clustering_runtime.py',
]

default_hooks = dict(
    checkpoint=dict(interval=20),
    logger=dict(interval=11),
    clustering=dict(
        warmup_epochs=24,
        interval=4,
        pipeline=_base_.test_pipeline,
        num_workers=0,
    ),
)
val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=_base_.bank_dataloader)
test_cfg = dict(
    type='EmbeddingTestLoop', bank_dataloader=_base_.bank_dataloader
)
