# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# The digits, evaluated by embeddings. configs/benchmarks has its own loops.
_base_ = './digits_loaders.py'

val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=_base_.bank_dataloader)
test_cfg = dict(
    type='EmbeddingTestLoop', bank_dataloader=_base_.bank_dataloader
)
