# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A backbone for the configs of mmpretrain and mmdet."""

from pauc_mm.checkpoints.checkpoint import Checkpoint
from pauc_mm.checkpoints.config import stored_config
from pauc_mm.checkpoints.file import State
from pauc_mm.checkpoints.inferred_resnet import infer_resnet

from .networks import backbone_config, build_resnet
from .plan import (
    Plan,
    configured,
    input_shape,
    loaded,
    source_network,
    source_notes,
)

_USAGE = """backbone=dict({backbone},
              init_cfg=dict(type='Pretrained', checkpoint='{{path}}',
                            prefix='backbone.'))"""


def mmpretrain_plan(
    checkpoint: Checkpoint, weights: State, momentum: bool
) -> Plan:
    """Plan to write any backbone that has a config, or any ResNet.

    The converted network is built from the config as it will be in the file.
    """
    reference, name = source_network(checkpoint, weights)
    cfg, text, code = None, None, '...'
    if checkpoint.config is not None:
        notes = list(checkpoint.config.notes)
        target = configured(checkpoint.config)
        code = f"type='{type(reference).__name__}', ..."
        try:
            text = checkpoint.config.encoder_text()
        except ValueError as error:
            notes.append(
                f'The config was left out: {error}. Diagnosis and probes of '
                'the new file need it: --config.'
            )
        else:  # as Checkpoint will read it
            target = configured(stored_config(text, False, 'the new file'))
    else:
        padding = checkpoint.layout.stem_padding
        like, _ = infer_resnet(weights, checkpoint.path, padding)
        cfg = backbone_config(like)
        target = build_resnet(like, cfg)
        notes = source_notes(checkpoint, like, momentum)
        if cfg is not None:
            code = ', '.join(f'{key}={value!r}' for key, value in cfg.items())
        else:
            notes.append(
                f"No depth of mmpretrain's ResNet has the blocks of this "
                f'{name}, {list(like.stage_blocks)}: only a class of your own '
                'loads it.'
            )
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
