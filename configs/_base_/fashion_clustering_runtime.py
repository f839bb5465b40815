# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# fashion_runtime.py and the E-step of PCL and PAUC: every epoch, after a
# warm-up of a fifth of the epochs.
_base_ = './clustering_runtime.py'

default_hooks = dict(
    checkpoint=dict(interval=10),
    logger=dict(interval=78),
    clustering=dict(
        warmup_epochs=6,
        interval=1,
        pipeline=[dict(type='PackInputs')],
        num_workers=0,
    ),
)
