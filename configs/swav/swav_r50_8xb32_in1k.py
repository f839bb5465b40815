# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# SwAV on ImageNet-1k: 8 GPUs x 32 images of 2 x 224 + 6 x 96 pixels, 200
# epochs, by the official code's script for a batch of 256.
_base_ = [
    '../_base_/models/swav_r50.py',
    '../_base_/datasets/imagenet_swav.py',
    '../_base_/schedules/lars_cosine_swav_200e.py',
    '../_base_/default_runtime.py',
]

default_hooks = dict(
    # The queue is in the files queue0.pth and so on of the work directory,
    # one of each process: a new run needs a directory of its own.
    swav=dict(
        type='SwAVHook',
        batch_size=32,  # of a process, as in train_dataloader
        epoch_queue_starts=15,
        crops_for_assign=[0, 1],
        feat_dim=128,
        # Of all processes, as in the official code: with the batch 4,096
        # images for the 3,000 prototypes. mmpretrain's Sinkhorn does not sum
        # over processes, so that each spreads an eighth of them.
        queue_length=3840,
        frozen_layers_cfg=dict(prototypes=5005),  # steps: an epoch and one
    )
)
