# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# mnist_runtime.py and the E-step of PCL and PAUC: every second epoch, after a
# warm-up of a fifth of the epochs, and with the papers' k-means: so the
# tables of docs/results.md were made.
_base_ = './clustering_runtime.py'

default_hooks = dict(
    checkpoint=dict(interval=13),
    logger=dict(interval=31),
    clustering=dict(
        warmup_epochs=13,
        interval=2,
        channels_last=False,
        kmeans=dict(warm_start=False),
        pipeline=[dict(type='PackInputs')],
        num_workers=0,
    ),
)
