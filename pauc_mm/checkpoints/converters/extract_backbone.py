# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import os
from typing import Any

from mmpretrain.models.backbones import ResNet
from torch import nn

from pauc_mm.checkpoints.checkpoint import Checkpoint
from pauc_mm.checkpoints.config import CheckpointConfig, stored_config
from pauc_mm.checkpoints.file import State
from pauc_mm.checkpoints.inferred_resnet import assumption, infer_resnet

from .conversion import Conversion, Plan, convert
from .equality import IMAGE_SIZE
from .networks import backbone_config, build_resnet

PREFIX = 'backbone.'
USAGE = """backbone=dict({backbone},
              init_cfg=dict(type='Pretrained', checkpoint='{{path}}',
                            prefix='backbone.'))"""


def extract_backbone(
    source: str | os.PathLike, destination: str | os.PathLike, **options: Any
) -> Conversion:
    """Write the backbone alone of a training checkpoint of mmpretrain.

    Heads, prototypes, optimizer and history are left out. The backbone is
    any whose config is known, in the checkpoint as a rule, or any ResNet.

    Args:
        source (str or PathLike): Checkpoint of pauc_mm or mmpretrain.
        destination (str or PathLike): File to write.
        **options: ``momentum``, ``config``, ``trust`` and ``force`` of
            :func:`~.conversion.convert`, which says what is raised.

    Returns:
        Conversion: The file holds the weights as 'backbone.NAME', and under
        'meta' the part of the config that describes the encoder.
    """
    return convert(_plan, 'extract_backbone', source, destination, **options)


def _plan(checkpoint: Checkpoint, weights: State, momentum: bool) -> Plan:
    if not checkpoint.layout.is_openmm:
        found = checkpoint.layout.describe(checkpoint.weights, 'ResNet')
        raise ValueError(
            f"'{checkpoint.path}' is no checkpoint of mmpretrain but of the "
            f'layout {found}: tools/converters/to_mmpretrain.py converts it.'
        )
    return openmm_plan(checkpoint, weights)


def openmm_plan(checkpoint: Checkpoint, weights: State) -> Plan:
    """Plan to write the backbone of a checkpoint of mmpretrain.

    The target is built from the config as it will be in the new file.
    """
    reference, name = openmm_network(checkpoint, weights)
    target, _ = openmm_network(checkpoint, weights)
    config, cfg, text, notes, size = checkpoint.config, None, None, [], None
    if config is None:
        notes.append(assumption(reference))
        cfg = backbone_config(reference)
        target = build_resnet(target, cfg)
    else:
        size = config.cfg.model.backbone.get('img_size')
        size = size[0] if isinstance(size, (tuple, list)) else size
        try:
            text = config.encoder_text()
        except ValueError as error:
            notes.append(
                f'The config was left out: {error}. Diagnosis and probes of '
                'the new file need it: --config.'
            )
        else:  # as Checkpoint will read it
            target = _configured(stored_config(text, False, 'the new file'))
        notes += config.notes
    filters = [v for v in weights.values() if v.dim() == 4]
    return Plan(
        reference,
        target,
        name,
        PREFIX,
        USAGE.format(backbone=f"type='{type(reference).__name__}', ..."),
        notes,
        backbone=cfg,
        config_text=text,
        channels=filters[0].shape[1] if filters else 3,
        size=size or IMAGE_SIZE,
    )


def openmm_network(
    checkpoint: Checkpoint, weights: State
) -> tuple[nn.Module, str]:
    """Build the backbone of a checkpoint of mmpretrain, with fresh weights.

    From its config, else inferred from its weights; ResNets output the maps
    of all stages.

    Returns:
        tuple[nn.Module, str]: The network and its name.

    Raises:
        ValueError: If there is no config, and it is no ResNet.
    """
    if checkpoint.config is None:
        return infer_resnet(weights, checkpoint.path)
    model = _configured(checkpoint.config)
    name = type(model).__name__
    if isinstance(model, ResNet):
        name = f'{name}-{model.depth}'
    return model, name


def _configured(config: CheckpointConfig) -> nn.Module:
    """Build a config's backbone; a ResNet outputs the maps of all stages."""
    model = config.build('backbone')
    if isinstance(model, ResNet):
        model.out_indices = tuple(range(model.num_stages))
    return model
