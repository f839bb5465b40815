# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC on a folder of your own unlabelled images, one GPU or a CPU:
#
#   DATA_ROOT=/my/images python tools/train.py configs/pauc_r18_folder.py
#
# DATA_ROOT holds for training, E-step and evaluation. So do IMAGE_SIZE (128
# pixels by default) and CORRUPT: images that do not decode stop the run before
# it starts, CORRUPT=skip leaves them out. IMAGE_BITS=12 is for images with 12
# of 16 bits in use, BACKGROUND=255,255,255 for transparent ones. Set all alike
# for --resume and for tools/test.py. They cannot be --cfg-options: a config
# uses its variables before options are applied.
#
# The numbers below are for about 5,000 images: change num_clusters with
# theirs, and keep queue_len below it and at least at batch_size (128).
_base_ = [
    '../_base_/models/pauc_r50.py',
    '../_base_/datasets/folder.py',
    '../_base_/schedules/sgd_cosine_200e.py',
    '../_base_/clustering_runtime.py',
]

# Some values of the papers suit ImageNet only. Instead, values of MoCo with a
# ResNet-18 on CIFAR-10 in lightly's benchmark: momentum encoder 0.99, lr 0.06
# for a batch of 128, weight decay 5e-4.
model = dict(
    # About N/50, N/25 and N/13 of N images, the papers' proportions
    # (ImageNet-1k has 1.28 million, K = 25000, 50000 and 100000).
    num_clusters=[100, 200, 400],
    queue_len=1024,
    momentum=0.01,
    backbone=dict(depth=18),
    neck=dict(in_channels=512),
    proto_head=dict(num_negatives=64),
)
optim_wrapper = dict(optimizer=dict(lr=0.06, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=128)

default_hooks = dict(
    logger=dict(interval=10),
    clustering=dict(pipeline=_base_.test_pipeline, num_workers=4),
)
