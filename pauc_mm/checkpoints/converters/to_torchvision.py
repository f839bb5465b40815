# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

from mmengine.config import Config
from mmpretrain.models.backbones import ResNet

from .conversion import (
    Conversion,
    check_destination,
    describe_origin,
    write_converted,
)
from .equality import compare_outputs, load_all
from .extract_backbone import openmm_network
from .networks import (
    StagedResNet,
    plain_torchvision,
    resnet_of,
    torchvision_maps,
)
from .source import read_source

NAMES = {'torchvision': '', 'moco': 'module.encoder_q.'}
"""What stands before torchvision's names in the new file."""

_USAGE = """model = {code}
model.fc = torch.nn.Identity()
model.load_state_dict(torch.load('{path}')['state_dict'])"""
_USAGE_MOCO = (
    'main_lincls.py --pretrained {path}, of the official MoCo and PCL'
)


def to_torchvision(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    names: str = 'torchvision',
    layout: str | None = None,
    prefix: str | None = None,
    momentum: bool = False,
    config: str | Config | None = None,
    trust: bool = False,
    force: bool = False,
) -> Conversion:
    """Write the ResNet of any known checkpoint under torchvision's names.

    The outputs of the source's network and of torchvision's are compared
    before anything is written.

    Args:
        source (str or PathLike): Checkpoint of pauc_mm, mmpretrain, or one
            of those that :func:`to_mmpretrain` knows.
        destination (str or PathLike): File to write.
        names (str): 'torchvision', or 'moco' for the names in checkpoints of
            the official MoCo and PCL. Defaults to 'torchvision'.
        layout (str, optional): One of :data:`LAYOUT_CHOICES`; found by
            itself if None.
        prefix (str, optional): What stands before the names of the ResNet.
        momentum (bool): Whether the momentum encoder is taken.
        config (str or Config, optional): Of a checkpoint of mmpretrain.
        trust (bool): Whether the source may run code when it is loaded.
        force (bool): Whether the destination may exist.

    Returns:
        Conversion: The file holds the weights under 'state_dict', without a
        classifier, and its origin under 'meta'.

    Raises:
        FileNotFoundError: There is no source.
        OSError: The destination cannot be written, or exists.
        ValueError: The source has no ResNet that torchvision can build, or
            not all of it.
        RuntimeError: The two networks' outputs differ, as those of a ResNet
            with Caffe's strides or another epsilon of BatchNorm do.
    """
    if names not in NAMES:
        raise ValueError(
            f'names must be one of {", ".join(NAMES)}, not {names!r}.'
        )
    path = check_destination(source, destination, force)
    found = read_source(source, layout, prefix, momentum, config, trust)
    reference = None
    if found.openmm:
        reference, name = openmm_network(found)
        if not isinstance(reference, ResNet):
            raise ValueError(
                f"The backbone of '{found.path}' is {name}, which has no "
                'counterpart in torchvision: only ResNets are converted. '
                'tools/converters/extract_backbone.py writes it alone.'
            )
    like, name = resnet_of(found.weights, found.path)
    if reference is None:
        padded = found.layout.name == 'official SwAV'
        reference = StagedResNet(like, padded)
    load_all(reference, found.weights, f"weights of '{found.path}'")
    target, code = plain_torchvision(like)
    before = NAMES[names]
    state = {before + key: value for key, value in found.weights.items()}
    load_all(
        target,
        {key[len(before) :]: value for key, value in state.items()},
        'converted weights',
    )
    reference.eval()
    target.eval()
    agreement = compare_outputs(
        reference, lambda images: torchvision_maps(target, images)
    )
    meta = describe_origin(found, f'to_torchvision ({names})', name)
    write_converted(path, state, meta)
    usage = _USAGE if names == 'torchvision' else _USAGE_MOCO
    return Conversion(
        path=path,
        described=f'{found.described}, {name}',
        num_tensors=len(state),
        agreement=agreement,
        meta=meta,
        usage=usage.format(code=code, path=path),
        notes=[*found.notes, *(found.config.notes if found.config else [])],
    )
