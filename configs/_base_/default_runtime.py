# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
_base_ = 'mmpretrain::_base_/default_runtime.py'

# Importing the package registers its models, hooks, data sets and metrics.
custom_imports = dict(imports=['pauc_mm'], allow_failed_imports=False)

# Hooks are named entries, not in the list custom_hooks: inheritance merges
# named entries, but replaces a list.
default_hooks = dict(
    checkpoint=dict(
        type='CheckpointHook',
        interval=1,
        max_keep_ckpts=3,
        backend_args=dict(backend='atomic'),
    ),
    checkpoint_guard=dict(type='CheckpointGuardHook'),
    epoch_seed=dict(type='EpochSeedHook'),
    setup_check=dict(type='SetupCheckHook'),
)

randomness = dict(seed=0)
