# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC with ViT-S/16 on ImageNet-1k: 8 GPUs x 128 images, 300 epochs. Our
# choice: the first E-step is at the end of the learning rate's warm-up.
_base_ = [
    '../_base_/models/pauc_vits16.py',
    '../_base_/datasets/imagenet_moco_v1.py',
    '../_base_/schedules/adamw_cosine_mocov3_300e.py',
    '../_base_/clustering_runtime.py',
]

train_dataloader = dict(batch_size=128)
default_hooks = dict(
    clustering=dict(pipeline=_base_.test_pipeline, warmup_epochs=40)
)
