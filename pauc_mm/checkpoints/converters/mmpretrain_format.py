# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A backbone for the configs of mmpretrain and mmdet."""

from pauc_mm.checkpoints.config import stored_config

from .networks import backbone_config, build_resnet
from .plan import Plan, Source, configured, loaded

_USAGE = """backbone=dict({backbone},
              init_cfg=dict(type='Pretrained', checkpoint='{{path}}',
                            prefix='backbone.'))"""


def mmpretrain_plan(source: Source) -> Plan:
    """Plan to write any backbone that has a config or can be inferred.

    The converted network is built from the config as it will be in the file.
    """
    config, cfg = source.checkpoint.config, source.cfg
    code, notes = f"type='{type(source.network).__name__}', ...", []
    if source.text is not None:  # as Checkpoint will read it
        target = configured(stored_config(source.text, False, 'the new file'))
    elif config is not None:
        target = configured(config)
    else:  # a ResNet without a config
        like = source.like
        cfg = backbone_config(like)
        target = build_resnet(like, cfg)
    if cfg is not None:
        code = ', '.join(f'{key}={value!r}' for key, value in cfg.items())
    elif config is None:
        code = '...'
        notes = [
            f"No depth of mmpretrain's ResNet has the blocks of this "
            f'{source.name}, {list(like.stage_blocks)}: only a class of your '
            'own loads it.'
        ]
    return Plan(
        loaded(target, source.weights),
        {f'backbone.{key}': value for key, value in source.weights.items()},
        _USAGE.format(backbone=code),
        notes,
        cfg,
    )
