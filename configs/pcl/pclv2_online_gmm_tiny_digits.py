# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL on scikit-learn's digits without an E-step: the prototypes are means of
# Gaussian mixtures that learn from the keys of every step.
_base_ = [
    '../_base_/models/pclv2_tiny.py',
    '../_base_/datasets/digits.py',
    '../_base_/schedules/sgd_cosine_tiny.py',
    '../_base_/digits_runtime.py',
]

model = dict(
    # A component remembers 20 samples of its own, at K = 100 those of 1.4
    # epochs. The warm-up is the 24 epochs of pclv2_tiny_digits.py: of mixtures
    # that begin with an untrained encoder most components are never used.
    prototypes=dict(type='MixturePrototypes', eta=0.95, warmup_steps=264),
)
default_hooks = dict(
    collapse_monitor=dict(type='CollapseMonitorHook', interval=10)
)
