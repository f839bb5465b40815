# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# SimCLR on ImageNet-1k: 8 GPUs x 32 images, 200 epochs, as in mmpretrain. The
# paper's default is a batch of 4096 at 4.8, the same 0.3 for each 256 images.
# PCL's table 3 gives 61.9 for 200 epochs.
_base_ = [
    '../_base_/models/simclr_r50.py',
    '../_base_/datasets/imagenet_simclr.py',
    '../_base_/schedules/lars_cosine_200e.py',
    '../_base_/default_runtime.py',
]
