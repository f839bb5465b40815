# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# SwAV on scikit-learn's digits, with the budget of pclv2_tiny_digits.py.
_base_ = [
    '../_base_/models/swav_tiny.py',
    '../_base_/datasets/digits.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/default_runtime.py',
]

default_hooks = dict(checkpoint=dict(interval=20), logger=dict(interval=11))
val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=_base_.bank_dataloader)
test_cfg = dict(
    type='EmbeddingTestLoop', bank_dataloader=_base_.bank_dataloader
)
