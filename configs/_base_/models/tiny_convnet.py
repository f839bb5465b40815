# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# The backbone of the small recipes: images of 16 pixels, 128 features.
model = dict(
    backbone=dict(
        type='TinyConvNet', channels=(32, 64, 128), strides=(2, 2, 2)
    )
)
