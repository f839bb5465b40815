# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A backbone for the configs of mmpretrain and mmdet."""

from pauc_mm.checkpoints.checkpoint import Checkpoint
from pauc_mm.checkpoints.config import stored_config
from pauc_mm.checkpoints.file import State

from .networks import backbone_config, build_resnet
from .plan import (
    Plan,
    configured,
    encoder_text,
    input_shape,
    loaded,
    resnet_like,
    source_network,
    source_notes,
)

_USAGE = """backbone=dict({backbone},
              init_cfg=dict(type='Pretrained', checkpoint='{{path}}',
                            prefix='backbone.'))"""


def mmpretrain_plan(
    checkpoint: Checkpoint, weights: State, momentum: bool
) -> Plan:
    """Plan to write any backbone that has a config or can be inferred.

    The converted network is built from the config as it will be in the file.
    """
    reference, name = source_network(checkpoint, weights)
    text, notes = encoder_text(checkpoint, reference)
    cfg, code = getattr(reference, 'cfg', None), '...'
    if text is not None:  # as Checkpoint will read it
        target = configured(stored_config(text, False, 'the new file'))
    elif checkpoint.config is not None:
        target = configured(checkpoint.config)
    else:
        like = resnet_like(checkpoint, weights, reference)
        if like is None:
            raise ValueError(
                f"'{checkpoint.path}' holds a {name} without a config: name "
                'the one that builds it with --config.'
            )
        cfg = backbone_config(like)
        target = build_resnet(like, cfg)
        if cfg is None:
            notes.append(
                f"No depth of mmpretrain's ResNet has the blocks of this "
                f'{name}, {list(like.stage_blocks)}: only a class of your own '
                'loads it.'
            )
    if checkpoint.config is not None:
        code = f"type='{type(reference).__name__}', ..."
    else:
        notes = [*source_notes(checkpoint, target, momentum), *notes]
        if cfg is not None:
            code = ', '.join(f'{key}={value!r}' for key, value in cfg.items())
    channels, size = input_shape(reference, weights)
    return Plan(
        loaded(reference, weights, f"weights of '{checkpoint.path}'"),
        loaded(target, weights, 'converted weights'),
        name,
        {f'backbone.{key}': value for key, value in weights.items()},
        _USAGE.format(backbone=code),
        notes,
        cfg,
        text,
        channels,
        size,
    )
