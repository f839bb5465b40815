# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC on ImageNet-1k without an E-step: 8 GPUs x 32 images, 200 epochs. Not
# in the paper; all else is as in pauc_r50_8xb32_in1k.py.
_base_ = [
    '../_base_/models/pauc_r50.py',
    '../_base_/datasets/imagenet_moco_v1.py',
    '../_base_/schedules/sgd_step_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    # One set. In each step the ranks add up K (2 D + 1) sums: 17 MB at
    # K = 16384 and D = 128, beside the 100 MB of ResNet-50's gradients. The
    # 25,000 + 50,000 + 100,000 of the paper would be 180 MB.
    num_clusters=[16384],
    # A component remembers 100 samples of its own: 1.3 epochs of 78 images,
    # as an E-step before each epoch looks at all images once.
    prototypes=dict(
        type='MixturePrototypes', eta=0.99, warmup_epochs=20
    ),  # as there
)
default_hooks = dict(
    collapse_monitor=dict(type='CollapseMonitorHook', interval=10)
)
