# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC on scikit-learn's digits without an E-step; the mixture is that of
# pclv2_online_gmm_tiny_digits.py.
_base_ = [
    '../_base_/models/pauc_tiny.py',
    '../_base_/datasets/digits.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/digits_runtime.py',
]

model = dict(
    prototypes=dict(type='MixturePrototypes', eta=0.95, warmup_steps=264)
)
default_hooks = dict(
    collapse_monitor=dict(type='CollapseMonitorHook', interval=10)
)
