# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL v2 on scikit-learn's digits: runs on a laptop in a few minutes.
_base_ = [
    '../_base_/models/pclv2_tiny.py',
    '../_base_/datasets/digits.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/digits_clustering_runtime.py',
]
