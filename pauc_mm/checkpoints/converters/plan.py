# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What a format's module decides, and the networks that all formats know."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmpretrain.models.backbones import ResNet
from torch import nn

from pauc_mm.checkpoints.checkpoint import Checkpoint
from pauc_mm.checkpoints.config import CheckpointConfig
from pauc_mm.checkpoints.encoder import IMAGENET_PREPROCESS, Encoder
from pauc_mm.checkpoints.file import State
from pauc_mm.checkpoints.inferred import infer_backbone
from pauc_mm.checkpoints.inferred_resnet import infer_resnet
from pauc_mm.checkpoints.layouts import Names
from pauc_mm.checkpoints.weights import load_all
from pauc_mm.embedding.preprocessing import file_pipeline, sides

from .equality import IMAGE_SIZE, TOLERANCE, Forward
from .networks import StagedResNet

Files = dict[str, bytes]
"""Content by name below the destination; '' is the destination itself."""


@dataclass(frozen=True)
class Plan:
    """Networks with their weights, and what is written of them."""

    reference: Forward  # as the source's project builds it
    converted: Forward  # as the reader of the new file builds it
    architecture: str  # in words
    state: State  # the weights under the names of the new file
    usage: str  # code that loads the file '{path}'
    notes: list[str] = field(default_factory=list)  # for the user
    backbone: dict | None = None  # its config in mmpretrain, for 'meta'
    config_text: str | None = None  # of the encoder, for 'meta'
    channels: int = 3  # of the images that are compared
    size: int = IMAGE_SIZE  # side of these images, in pixels
    tolerance: float = TOLERANCE
    # From the destination and 'meta'; without it, the weights in one file.
    write: Callable[[Path, dict], Files] | None = None

    def files(self, path: Path, meta: dict) -> Files:
        """Return what is to be written."""
        if self.write is not None:
            return self.write(path, meta)
        if self.config_text is not None:
            meta = dict(meta, cfg=self.config_text)  # as mmengine
        if path.suffix == '.safetensors':
            return {'': safetensors_bytes(self.state, meta)}
        buffer = io.BytesIO()
        torch.save(dict(meta=meta, state_dict=_copied(self.state)), buffer)
        return {'': buffer.getvalue()}


def safetensors_bytes(state: State, meta: dict) -> bytes:
    """Serialise weights; ``meta`` is JSON under 'pauc_mm' in the header."""
    from safetensors.torch import save

    header = dict(format='pt', pauc_mm=json.dumps(meta))
    return save(_copied(state), header)


def _copied(state: State) -> State:
    # A tensor that is a view would take its whole storage along.
    return {k: v.detach().clone().contiguous() for k, v in state.items()}


def loaded(module: nn.Module, weights: State, what: str) -> nn.Module:
    """Load all weights, which ``what`` names, and turn to eval mode."""
    load_all(module, weights, what)
    module.eval()  # of mmpretrain's ResNet it returns None
    return module


def source_network(
    checkpoint: Checkpoint, weights: State
) -> tuple[nn.Module, str]:
    """Build the backbone of a checkpoint, with fresh weights.

    From its config, else inferred from its weights: of other projects than
    mmpretrain torchvision's ResNet, as they build it. ResNets give the maps of
    all stages.

    Returns:
        tuple[nn.Module, str]: The network and its name.

    Raises:
        ValueError: If there is no config, and it cannot be inferred.
    """
    if checkpoint.config is not None:
        model = configured(checkpoint.config)
        name = type(model).__name__
        if isinstance(model, ResNet):
            name = f'{name}-{model.depth}'
        return model, name
    model, name, _ = infer_backbone(
        weights, checkpoint.path, **checkpoint.layout.network
    )
    if isinstance(model, ResNet) and not checkpoint.layout.is_openmm:
        model = StagedResNet(model)
    return model, name


def encoder_text(
    checkpoint: Checkpoint, network: nn.Module
) -> tuple[str | None, list[str]]:
    """Return the config of an encoder, for 'meta', and notes for the user.

    A ResNet without a config needs none: its weights tell it.
    """
    if checkpoint.config is not None:
        try:
            return checkpoint.config.encoder_text(), checkpoint.config.notes
        except ValueError as error:
            note = (
                f'The config was left out: {error}. Diagnosis and probes of '
                'the new file need it: --config.'
            )
            return None, [*checkpoint.config.notes, note]
    cfg = getattr(network, 'cfg', None)
    if cfg is None:
        return None, []
    model = dict(
        type='ImageClassifier',
        backbone=cfg,
        data_preprocessor=IMAGENET_PREPROCESS,
    )
    return f'model = {model!r}\n', []


def configured(config: CheckpointConfig) -> nn.Module:
    """Build a config's backbone; a ResNet outputs the maps of all stages."""
    model = config.build('backbone')
    if isinstance(model, ResNet):
        model.out_indices = tuple(range(model.num_stages))
    return model


def resnet_like(
    checkpoint: Checkpoint, weights: State, network: nn.Module
) -> ResNet | None:
    """Return mmpretrain's ResNet with the sizes of a network; None if none."""
    if not isinstance(network, (ResNet, StagedResNet)):
        return None
    padding = checkpoint.layout.network.get('padding', 1)
    return infer_resnet(weights, checkpoint.path, padding)[0]


def source_notes(
    checkpoint: Checkpoint, network: nn.Module, momentum: bool
) -> list[str]:
    """Return notes on what the config, or nothing, tells of a network."""
    if checkpoint.config is not None:
        return checkpoint.config.notes
    names = Names(checkpoint.names(momentum).backbone)
    return checkpoint.assumptions(network, names, momentum)


def input_shape(network: nn.Module, weights: State) -> tuple[int, int]:
    """Return the channels and the side of the images to compare with.

    A transformer's are those of its position embedding.
    """
    filters = [v for v in weights.values() if v.dim() == 4]
    embed = getattr(network, 'patch_embed', None)
    size = getattr(embed, 'init_input_size', None) or (IMAGE_SIZE,)
    return filters[0].shape[1] if filters else 3, size[0]


def preprocessing(encoder: Encoder) -> tuple[int, list[str]]:
    """Return the side of the images of a network, and notes for the user."""
    try:
        steps, bgr, _ = file_pipeline(encoder)
        found = sides(steps, 'Crop') or sides(steps, 'Resize')
        side, notes = found[-1], []
    except (ValueError, IndexError):
        side, bgr = 224, False
        notes = ['The size of the images is unknown: 224 pixels are noted.']
    if bgr and not encoder.preprocess['to_rgb']:
        notes.append(
            'The network takes images in the order blue, green, red: other '
            "programs' are red, green, blue. Turn them."
        )
    return side, notes
