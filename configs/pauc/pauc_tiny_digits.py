# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC on scikit-learn's digits: the recipe of tools/quickstart.sh.
_base_ = [
    '../_base_/models/pauc_tiny.py',
    '../_base_/datasets/digits.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/digits_clustering_runtime.py',
]
