# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# mmpretrain's MoCo v2 with the budget of pclv2_tiny_digits.py.
_base_ = [
    '../_base_/models/mocov2_tiny.py',
    '../_base_/datasets/digits.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/digits_runtime.py',
]
