# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

from mmengine.config import Config

from pauc_mm.checkpoints.layouts import Names
from pauc_mm.checkpoints.notes import guesses

from .conversion import (
    Conversion,
    check_destination,
    describe_origin,
    write_converted,
)
from .equality import compare_outputs, load_all
from .extract_backbone import PREFIX, USAGE, write_backbone
from .networks import (
    StagedResNet,
    backbone_config,
    build_resnet,
    resnet_of,
)
from .source import read_source


def to_mmpretrain(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    layout: str | None = None,
    prefix: str | None = None,
    momentum: bool = False,
    config: str | Config | None = None,
    trust: bool = False,
    force: bool = False,
) -> Conversion:
    """Write the ResNet of any known checkpoint under mmpretrain's names.

    The outputs of the source's network and of mmpretrain's are compared
    before anything is written. Of a checkpoint of mmpretrain the backbone is
    extracted.

    Args:
        source (str or PathLike): Checkpoint of PCL, MoCo, SwAV, DINO,
            torchvision and others.
        destination (str or PathLike): File to write.
        layout (str, optional): One of :data:`LAYOUT_CHOICES`; found by
            itself if None.
        prefix (str, optional): What stands before the names of the ResNet.
        momentum (bool): Whether the momentum encoder is taken.
        config (str or Config, optional): Of a checkpoint of mmpretrain.
        trust (bool): Whether the source may run code when it is loaded.
        force (bool): Whether the destination may exist.

    Returns:
        Conversion: The file holds the weights as 'backbone.NAME' under
        'state_dict', and its origin under 'meta'.

    Raises:
        FileNotFoundError: There is no source.
        OSError: The destination cannot be written, or exists.
        ValueError: The source has no such network, or not all of it.
        RuntimeError: The two networks' outputs differ.
    """
    path = check_destination(source, destination, force)
    found = read_source(source, layout, prefix, momentum, config, trust)
    if found.openmm:
        return write_backbone(found, path, 'to_mmpretrain')
    like, name = resnet_of(found.weights, found.path)
    cfg = backbone_config(like)
    reference = StagedResNet(like, padded=found.layout.name == 'official SwAV')
    load_all(reference, found.weights, f"weights of '{found.path}'")
    target = build_resnet(like, cfg)
    state = {PREFIX + key: value for key, value in found.weights.items()}
    load_all(
        target,
        {key[len(PREFIX) :]: value for key, value in state.items()},
        'converted weights',
    )
    reference.eval()
    target.eval()
    agreement = compare_outputs(reference, target)
    names = Names(found.prefix)
    notes = [*found.notes, *guesses(found.layout, names, like, momentum)]
    if cfg is None:
        notes.append(
            f"No depth of mmpretrain's ResNet has the blocks of this {name}, "
            f'{list(like.stage_blocks)}: only a class of your own loads it.'
        )
    meta = describe_origin(found, 'to_mmpretrain', name)
    if cfg is not None:
        meta['backbone'] = cfg
    write_converted(path, state, meta)
    return Conversion(
        path=path,
        described=f'{found.described}, {name}',
        num_tensors=len(state),
        agreement=agreement,
        meta=meta,
        usage=USAGE.format(
            backbone='...' if cfg is None else _code(cfg), path=path
        ),
        notes=notes,
    )


def _code(cfg: dict) -> str:
    return ', '.join(f'{key}={value!r}' for key, value in cfg.items())
