# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CARP for images of 16 pixels: three convolutions and 1,024 prototypes, many
# more than ten digits need, in blocks of 16. As with the 512 for ImageNet's
# 1,000 classes, a block has about as many prototypes as there are classes.
_base_ = './tiny_convnet.py'

model = dict(
    type='CARP',
    feat_dim=64,
    momentum=0.01,
    neck=dict(
        type='CARPNeck', in_channels=128, hid_channels=128, out_channels=64
    ),
    head=dict(type='CARPHead', num_prototypes=1024, partition_size=16),
)
