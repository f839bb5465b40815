# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC on ImageNet-100 without an E-step: 8 GPUs x 32 images, 200 epochs. Not
# in the paper; all else is as in pauc_r50_8xb32_in100.py.
_base_ = [
    '../_base_/models/pauc_r50.py',
    '../_base_/datasets/imagenet100_moco_v1.py',
    '../_base_/schedules/sgd_step_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    queue_len=1024,
    # One set, in proportion to the images: 16,384 for the 1,281,167 of
    # ImageNet-1k are 78 images for each, these are 79.
    num_clusters=[1600],
    proto_head=dict(num_negatives=1024),
    # A component remembers 100 samples of its own, as on ImageNet-1k.
    prototypes=dict(type='MixturePrototypes', eta=0.99, warmup_epochs=20),
)
default_hooks = dict(
    collapse_monitor=dict(type='CollapseMonitorHook', interval=10)
)
