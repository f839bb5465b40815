# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# MoCo's linear classification on ImageNet-1k: 8 GPUs x 32 images.
_base_ = [
    './_base_/resnet50_frozen.py',
    '../_base_/imagenet.py',
    './_base_/moco_100e.py',
    '../_base_/classification_runtime.py',
]
