# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# SwAV on ImageNet-100: 8 GPUs x 32 images of 2 x 224 + 6 x 96 pixels, 200
# epochs. Its paper has no ImageNet-100; all else is as in
# swav_r50_8xb32_in1k.py.
_base_ = [
    '../_base_/models/swav_r50.py',
    '../_base_/datasets/imagenet100_swav.py',
    '../_base_/schedules/lars_cosine_swav_200e.py',
    '../_base_/default_runtime.py',
]

# A tenth of the images, a tenth of the prototypes, as K of PAUC and PCL.
model = dict(head=dict(loss=dict(num_prototypes=300)))
default_hooks = dict(
    swav=dict(
        type='SwAVHook',
        batch_size=32,  # of a process, as in train_dataloader
        epoch_queue_starts=15,
        crops_for_assign=[0, 1],
        feat_dim=128,
        # Of all processes; with the batch at hand each spreads 512 images,
        # see swav_r50_8xb32_in1k.py, over the 300 prototypes.
        queue_length=3840,
        frozen_layers_cfg=dict(prototypes=494),  # steps: the first epoch
    )
)
