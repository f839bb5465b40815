# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

import torch
from mmengine.config import Config
from torch import nn

from .config import CheckpointConfig, find_config
from .encoder import IMAGENET_PREPROCESS, Encoder
from .file import read_checkpoint
from .fit_weights import check_finite, load_weights
from .inferred_resnet import infer_resnet
from .layouts import (
    Layout,
    Names,
    describe,
    names_of,
    openmm_layout,
    recognise,
    select,
)
from .notes import guesses, left_out
from .projection_head import ProjectionHead
from .state import (
    find_prototypes,
    find_state,
    sequential_neck,
    trained_epochs,
)

State = dict[str, torch.Tensor]


def load_encoder(
    path: str | os.PathLike,
    config: str | Config | None = None,
    trust: bool = False,
    momentum: bool = False,
    min_loaded: float = 0.9,
) -> Encoder:
    """Load the encoder of any checkpoint with a ResNet, or with a config.

    Networks are built from the config, which checkpoints of mmengine hold,
    else from the names and shapes of the weights. A config that comes inside
    a checkpoint is data: it is parsed, not run, can only build registered
    networks, and its ``custom_imports`` of anything but pauc_mm are not made.

    Args:
        path (str or PathLike): The checkpoint.
        config (str or Config, optional): Config file to build from, in place
            of the checkpoint's own. Defaults to None.
        trust (bool): Whether the checkpoint and its config may run code
            (``--trust-checkpoint``). Defaults to False.
        momentum (bool): Whether the momentum encoder (key encoder, target,
            teacher) is taken. Defaults to False.
        min_loaded (float): Least share of the backbone's tensors that the
            checkpoint must have. Defaults to 0.9.

    Returns:
        Encoder: On the CPU, in eval mode.

    Raises:
        FileNotFoundError: If there is no such file.
        IsADirectoryError: If it is a folder.
        ValueError: If it is no checkpoint, would run code, is of no known
            layout, does not fit the config, holds weights that are not
            finite, or has no momentum encoder where one is asked for.
    """
    if not 0 < min_loaded <= 1:
        raise ValueError(f'min_loaded must be in (0, 1], not {min_loaded!r}.')
    path = os.fspath(path)
    checkpoint = read_checkpoint(path, trust)
    state, notes = find_state(checkpoint, path)
    found = find_config(checkpoint, config, trust, path)
    layout = _layout(state, found, 'meta' in checkpoint, path)
    names = names_of(layout, state, momentum, path)
    backbone_state = _backbone_state(state, names, found)
    if found is not None:
        backbone = found.build('backbone')
        resnet = type(backbone).__name__
        resnet += f'-{backbone.depth}' if hasattr(backbone, 'depth') else ''
    else:
        backbone, resnet = _infer(backbone_state, names, path)
    load_weights(
        backbone, backbone_state, f"backbone of '{path}'", min_loaded, notes
    )
    neck = _neck(layout, names, state, found, path, notes)
    openmm = layout.name == 'mmpretrain'
    vectors = select(state, names.prototypes)
    if openmm:  # those of pauc_mm's own algorithms
        vectors = {**vectors, **select(state, 'prototypes.')}
    prototypes = find_prototypes(checkpoint, vectors, notes)
    check_finite(path, backbone, neck, prototypes)

    described = describe(layout, state, resnet)
    if openmm and found is not None:
        described = found.kind
    elif openmm:
        notes.append(
            'There is no config: the networks were inferred from the shapes '
            'of the weights, and images are normalised as for ImageNet.'
        )
    if found is None:
        notes += guesses(layout, names, backbone, momentum)
        pipeline, dataset, preprocess = None, None, dict(IMAGENET_PREPROCESS)
    else:
        pipeline, dataset = found.data()
        preprocess = found.preprocess()
        notes += found.notes
    notes += left_out(state, layout, names)
    return Encoder(
        backbone=backbone,
        neck=neck,
        layout=described,
        prototypes=prototypes,
        prototype_space='embedding' if prototypes else None,
        epoch=trained_epochs(checkpoint),
        preprocess=preprocess,
        pipeline=pipeline,
        dataset=dataset,
        config=None if found is None else found.cfg,
        notes=notes,
    )


def _layout(
    state: State, found: CheckpointConfig | None, has_meta: bool, path: str
) -> Layout:
    """The layout; checkpoints with a config need not be of a ResNet."""
    own = any(key.startswith('backbone.') for key in state)
    if own and (found is not None or has_meta):
        return openmm_layout(state)
    return recognise(state, path)


def _backbone_state(
    state: State, names: Names, found: CheckpointConfig | None
) -> State:
    own = {
        key: value
        for key, value in state.items()
        if names.head is None or not key.startswith(names.head)
    }
    weights = select(own, names.backbone)
    if found is not None and names.backbone:
        return weights
    parts = ('conv1.', 'bn1.', 'stem.', 'layer')
    return {k: v for k, v in weights.items() if k.startswith(parts)}


def _infer(weights: State, names: Names, path: str) -> tuple[nn.Module, str]:
    try:
        return infer_resnet(weights)
    except ValueError as error:
        where = f" under '{names.backbone}'" if names.backbone else ''
        raise ValueError(
            f"The network{where} in '{path}' {error}. Name the config that "
            'builds it with --config.'
        ) from error


def _neck(
    layout: Layout,
    names: Names,
    state: State,
    found: CheckpointConfig | None,
    path: str,
    notes: list[str],
) -> nn.Module | None:
    weights = select(state, names.head)
    openmm = layout.name == 'mmpretrain'
    if openmm and found is not None:
        neck = found.build('neck')
        if neck is None or not neck.state_dict():
            notes.append('The model has no projection head: no embeddings.')
            return None
        if weights:
            load_weights(neck, weights, f"neck of '{path}'", 1.0, notes)
            return neck
    if not weights:
        notes.append('There is no projection head: no embeddings.')
        return None
    try:
        renamed = sequential_neck(weights) if openmm else weights
        return ProjectionHead(renamed, layout.activation)
    except ValueError as error:
        notes.append(
            f"The projection head under '{names.head}' was left out, because "
            f'{error}: no embeddings.'
        )
        return None
