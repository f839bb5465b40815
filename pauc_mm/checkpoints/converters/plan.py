# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What all formats know of a checkpoint, and what each decides."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmpretrain.models.backbones import ResNet
from torch import nn

from pauc_mm.checkpoints.checkpoint import Checkpoint
from pauc_mm.checkpoints.config import CheckpointConfig
from pauc_mm.checkpoints.encoder import IMAGENET_PREPROCESS, Encoder
from pauc_mm.checkpoints.file import State
from pauc_mm.checkpoints.inferred import infer_backbone
from pauc_mm.checkpoints.layouts import Names
from pauc_mm.checkpoints.weights import load_all
from pauc_mm.embedding.preprocessing import file_pipeline, sides

from .equality import IMAGE_SIZE, TOLERANCE, Forward
from .networks import StagedResNet

Files = dict[str, bytes]
"""Content by name below the destination; '' is the destination itself."""


class Source:
    """Backbone of a checkpoint, as its own project builds it.

    From its config, else inferred from its weights: of other projects than
    mmpretrain torchvision's ResNet. ResNets give the maps of all stages.

    Attributes:
        network (nn.Module): With its weights.
        name (str): Of the network, such as 'ResNet-50'.
        weights (dict[str, Tensor]): Under mmpretrain's names.
        text (str, optional): The encoder's config. A ResNet that was inferred
            needs none: its weights tell it.
        notes (list[str]): Sentences for the user.
        channels, size (int): Of images to compare with.
    """

    def __init__(
        self, checkpoint: Checkpoint, weights: State, momentum: bool
    ) -> None:
        self.checkpoint, self.weights = checkpoint, weights
        self.momentum, self.text = momentum, None
        config, layout = checkpoint.config, checkpoint.layout
        path = checkpoint.path
        if config is not None:
            network = configured(config)
            self.name = type(network).__name__
            if isinstance(network, ResNet):
                self.name += f'-{network.depth}'
            self.notes = list(config.notes)
        else:
            network, self.name, _ = infer_backbone(
                weights, path, **layout.network
            )
            names = Names(checkpoint.names(momentum).backbone)
            self.notes = checkpoint.assumptions(network, names, momentum)
        if config is None and isinstance(network, ResNet):
            if not layout.is_openmm:
                network = StagedResNet(network)
        self.network = loaded(network, weights, f"weights of '{path}'")
        self.cfg: dict | None = getattr(network, 'cfg', None)
        if config is not None:
            try:
                self.text = config.encoder_text()
            except ValueError as error:
                self.notes.append(
                    f'The config was left out: {error}. Diagnosis and probes '
                    'of the new file need it: --config.'
                )
        elif self.cfg is not None:
            model = dict(
                type='ImageClassifier',
                backbone=self.cfg,
                data_preprocessor=IMAGENET_PREPROCESS,
            )
            self.text = f'model = {model!r}\n'
        filters = [v for v in weights.values() if v.dim() == 4]
        self.channels = filters[0].shape[1] if filters else 3
        embed = getattr(network, 'patch_embed', None)
        size = getattr(embed, 'init_input_size', None) or (IMAGE_SIZE,)
        self.size = size[0]

    @property
    def like(self) -> Any:
        """Mmpretrain's ResNet of the same sizes; None if it is no ResNet."""
        if not isinstance(self.network, (ResNet, StagedResNet)):
            return None
        checkpoint = self.checkpoint
        network = checkpoint.layout.network
        return infer_backbone(self.weights, checkpoint.path, **network)[0]


@dataclass(frozen=True)
class Plan:
    """What is written of a source, and the network that will read it."""

    converted: Forward  # with its weights
    state: State  # the weights under the names of the new file
    usage: str  # code that loads the file '{path}'
    notes: list[str] = field(default_factory=list)  # beside the source's
    backbone: dict | None = None  # its config in mmpretrain, for 'meta'
    reference: Forward | None = None  # in place of the source's network
    tolerance: float = TOLERANCE
    # From the destination and 'meta'; without it, the weights in one file.
    write: Callable[[Path, dict], Files] | None = None


def weights_file(path: Path, state: State, meta: dict) -> bytes:
    """Serialise weights; in safetensors 'meta' is JSON in the header."""
    # Copies: a tensor that is a view would take its whole storage along.
    state = {k: v.detach().clone().contiguous() for k, v in state.items()}
    if path.suffix == '.safetensors':
        from safetensors.torch import save

        return save(state, dict(format='pt', pauc_mm=json.dumps(meta)))
    buffer = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=state), buffer)
    return buffer.getvalue()


def loaded(
    module: nn.Module, weights: State, what: str = 'converted weights'
) -> nn.Module:
    """Load all weights, which ``what`` names, and turn to eval mode."""
    load_all(module, weights, what)
    module.eval()  # of mmpretrain's ResNet it returns None
    return module


def configured(config: CheckpointConfig) -> nn.Module:
    """Build a config's backbone; a ResNet outputs the maps of all stages."""
    model = config.build('backbone')
    if isinstance(model, ResNet):
        model.out_indices = tuple(range(model.num_stages))
    return model


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
