# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL's linear classification on Places205 (its table 3): 8 GPUs x 32 images.
_base_ = [
    './_base_/resnet50_frozen.py',
    './_base_/places205.py',
    './_base_/pcl_places_40e.py',
    '../_base_/classification_runtime.py',
]

# Instead of the global average, about 9,000 values of conv5 (appendix E).
# Goyal et al. (ICCV 2019), whose setup PCL follows, average 6x6 windows of the
# 7x7 map: 2 x 2 x 2,048 = 8,192.
model = dict(
    neck=dict(_delete_=True, type='AvgPoolFlatten', kernel_size=6, stride=1),
    head=dict(num_classes=205, in_channels=8192),
)
