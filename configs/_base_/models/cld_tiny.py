# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CLD for images of 16 pixels: mocov2_tiny.py with a second branch in the
# projection. num_clusters is not tuned: on the digits (seed 0, rate 0.12), kNN
# at k=20 of 16 and 32 differed by one held-out image.
_base_ = './mocov2_tiny.py'

model = dict(
    type='CLD',
    num_clusters=32,
    num_iters=5,
    group_temperature=0.4,
    group_weight=0.25,
    neck=dict(type='CLDNeck'),
)
