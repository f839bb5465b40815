# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL's fine-tuning on 10% of ImageNet-1k (its table 2): 8 GPUs x 32 images.
# tools/data/draw_subset.py draws the list, or takes over a published one.
_base_ = [
    './_base_/resnet50.py',
    '../_base_/imagenet.py',
    './_base_/pcl_20e.py',
    '../_base_/classification_runtime.py',
]

train_dataloader = dict(dataset=dict(ann_file='meta/semi_10percent.txt'))
