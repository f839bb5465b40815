# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
_base_ = '../../_base_/default_runtime.py'

default_hooks = dict(
    checkpoint=dict(interval=10),
    # Fewer than 90% of the backbone's weights in the checkpoint: an error.
    backbone_check=dict(type='BackboneCheckHook'),
)
