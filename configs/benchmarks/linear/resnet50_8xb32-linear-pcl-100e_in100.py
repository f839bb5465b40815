# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Linear classification on ImageNet-100 with PCL's settings for ImageNet-1k:
# the PAUC paper (table 2) names none of its own. 8 GPUs x 32 images.
_base_ = [
    './_base_/resnet50_frozen.py',
    '../_base_/imagenet100.py',
    './_base_/pcl_100e.py',
    '../_base_/classification_runtime.py',
]

model = dict(head=dict(num_classes=100))
