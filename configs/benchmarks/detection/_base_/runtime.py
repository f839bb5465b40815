# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
_base_ = 'mmdet::_base_/default_runtime.py'

# pauc_mm.detection imports mmdet, whether mmcv has compiled operations or not.
custom_imports = dict(
    imports=['pauc_mm', 'pauc_mm.detection'], allow_failed_imports=False
)

default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=3, backend_args=dict(backend='atomic')),
    checkpoint_guard=dict(type='mmpretrain.CheckpointGuardHook'),
    # Fewer than 90% of the backbone's weights in the checkpoint: an error.
    backbone_check=dict(type='mmpretrain.BackboneCheckHook'),
)

randomness = dict(seed=0)
