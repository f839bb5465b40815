# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

from mmengine.config import Config
from mmpretrain.models.backbones import ResNet
from torch import nn

from pauc_mm.checkpoints.config import CheckpointConfig, find_config

from .conversion import (
    Conversion,
    check_destination,
    describe_origin,
    write_converted,
)
from .equality import IMAGE_SIZE, compare_outputs, load_all
from .networks import backbone_config, build_resnet, resnet_of
from .source import Source, read_source

PREFIX = 'backbone.'
USAGE = """backbone=dict({backbone},
              init_cfg=dict(type='Pretrained', checkpoint='{path}',
                            prefix='backbone.'))"""


def extract_backbone(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    momentum: bool = False,
    config: str | Config | None = None,
    trust: bool = False,
    force: bool = False,
) -> Conversion:
    """Write the backbone alone of a training checkpoint of mmpretrain.

    Without the heads, prototypes, optimizer and history. Any backbone whose
    config is known, in the checkpoint as a rule, and any ResNet.

    Args:
        source (str or PathLike): Checkpoint of pauc_mm or mmpretrain.
        destination (str or PathLike): File to write.
        momentum (bool): Whether the momentum encoder is taken.
        config (str or Config, optional): Config of the model, in place of
            the one that the checkpoint holds.
        trust (bool): Whether the source may run code when it is loaded.
        force (bool): Whether the destination may exist.

    Returns:
        Conversion: The file holds the weights as 'backbone.NAME' under
        'state_dict', and its origin under 'meta', with the part of the
        config that describes the encoder.

    Raises:
        FileNotFoundError: There is no source.
        OSError: The destination cannot be written, or exists.
        ValueError: The source is no checkpoint of mmpretrain, or does not
            have all weights of the backbone.
        RuntimeError: The two networks' outputs differ.
    """
    path = check_destination(source, destination, force)
    found = read_source(source, None, None, momentum, config, trust)
    if not found.openmm:
        raise ValueError(
            f"'{found.path}' is no checkpoint of mmpretrain but of the layout "
            f'{found.described}: tools/converters/to_mmpretrain.py converts '
            'it.'
        )
    return write_backbone(found, path, 'extract_backbone')


def write_backbone(source: Source, path: Path, conversion: str) -> Conversion:
    """Check and write the backbone of a checkpoint of mmpretrain.

    The outputs are compared with those of the network that is built from the
    config as it will be in the new file, if there is one.

    Args:
        source (Source): With mmpretrain's names.
        path (Path): File to write.
        conversion (str): Name of the conversion, for the file's origin.

    Returns:
        Conversion: See :func:`extract_backbone`.

    Raises:
        ValueError: The network is unknown, or not all of its weights are
            there.
        RuntimeError: The two networks' outputs differ.
    """
    reference, name = openmm_network(source)
    text = _encoder_text(source)
    target = _target(source, path, text)
    state = {PREFIX + key: value for key, value in source.weights.items()}
    load_all(reference, source.weights, f"weights of '{source.path}'")
    load_all(
        target,
        {key[len(PREFIX) :]: value for key, value in state.items()},
        'converted weights',
    )
    reference.eval()
    target.eval()
    channels, size = image_shape(source, reference)
    agreement = compare_outputs(reference, target, channels, size)
    meta = describe_origin(source, conversion, name)
    if isinstance(reference, ResNet) and source.config is None:
        cfg = backbone_config(reference)
        if cfg is not None:
            meta['backbone'] = cfg
    write_converted(path, state, meta, text)
    return Conversion(
        path=path,
        described=f'{source.described}, {name}',
        num_tensors=len(state),
        agreement=agreement,
        meta=meta,
        usage=USAGE.format(
            backbone=f"type='{type(reference).__name__}', ...", path=path
        ),
        notes=source.notes,
    )


def openmm_network(source: Source) -> tuple[nn.Module, str]:
    """The network of a checkpoint of mmpretrain, with fresh weights.

    Args:
        source (Source): With mmpretrain's names.

    Returns:
        tuple[nn.Module, str]: From its config, else inferred if it is a
        ResNet; of ResNets the maps of all stages. And its name.

    Raises:
        ValueError: There is no config, and it is no ResNet.
    """
    if source.config is None:
        try:
            return resnet_of(source.weights, source.path)
        except ValueError as error:
            raise ValueError(
                f'{error} If it is another network of mmpretrain, name the '
                'config that builds it with --config.'
            ) from error
    model = _configured(source.config)
    name = type(model).__name__
    if isinstance(model, ResNet):
        name = f'{name}-{model.depth}'
    return model, name


def image_shape(source: Source, model: nn.Module) -> tuple[int, int]:
    """Channels and side of images that a network takes.

    Args:
        source (Source): Of which the first convolution tells the channels.
        model (nn.Module): Which may have an image size.

    Returns:
        tuple[int, int]: Channels, and pixels of the side.
    """
    filters = (v for v in source.weights.values() if v.dim() == 4)
    first = next(filters, None)
    channels = 3 if first is None else first.shape[1]
    size: int | None = None
    if source.config is not None:
        size = source.config.cfg.model.backbone.get('img_size')
    if isinstance(size, (tuple, list)):
        size = size[0]
    return channels, size or IMAGE_SIZE


def _configured(config: CheckpointConfig) -> nn.Module:
    """The backbone of a config, fresh; of ResNets the maps of all stages."""
    model = config.build('backbone')
    if isinstance(model, ResNet):
        model.out_indices = tuple(range(model.num_stages))
    return model


def _target(source: Source, path: Path, text: str | None) -> nn.Module:
    """The network that those who read the new file will build."""
    if text is not None:  # as load_encoder does
        written = dict(meta=dict(cfg=text))
        return _configured(find_config(written, None, False, str(path)))
    model, _ = openmm_network(source)
    if source.config is None:
        return build_resnet(model, backbone_config(model))
    return model


def _encoder_text(source: Source) -> str | None:
    if source.config is None:
        return None
    try:
        return source.config.encoder_text()
    except ValueError as error:
        source.notes.append(
            f'The config was left out: {error}. Diagnosis and probes of the '
            'new file need it: --config.'
        )
        return None
    finally:
        source.notes += source.config.notes
