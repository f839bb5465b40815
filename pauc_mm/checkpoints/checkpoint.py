# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import torch
from mmengine.config import Config
from torch import nn

from pauc_mm.compat.safe_load import has_checksums
from pauc_mm.utils.checks import listed

from .config import CheckpointConfig, named_config, stored_config
from .encoder import IMAGENET_PREPROCESS, Encoder
from .file import State, checkpoint_file, find_weights, read_file
from .inferred import (
    assumption,
    has_network,
    infer_backbone,
    to_mmpretrain,
    without_heads,
)
from .layouts import Layout, Names, choose_layout, closest, find_layout
from .projection_head import PartialHeadError, ProjectionHead
from .prototypes import check_prototypes, read_centroids, read_prototypes
from .weights import check_finite, load_all, select


@dataclass
class Checkpoint:
    """Checkpoint of any project, and the networks that are loaded from it.

    Networks are built from a config, which checkpoints of mmengine hold, else
    from the names and shapes of the weights. A config that comes inside a
    checkpoint is data: it is parsed, not run, can only build registered
    networks, and its ``custom_imports`` of anything but pauc_mm are skipped.

    Attributes:
        path (str): The file.
        content (dict): Its top level; objects beside weights are inert.
        weights (dict[str, Tensor]): All weights, without the prefixes of
            DistributedDataParallel and torch.compile.
        layout (Layout): Names of the weights.
        notes (list[str]): What was renamed on opening, in sentences for the
            user.
        trust (bool): Whether the file and its config may run code.
        config_source (str or Config, optional): The config to use in place
            of the checkpoint's own.
    """

    path: str
    content: dict
    weights: State
    layout: Layout
    notes: list[str]
    trust: bool = False
    config_source: str | Config | None = None

    @classmethod
    def open(
        cls,
        path: str | os.PathLike,
        config: str | Config | None = None,
        trust: bool = False,
        layout: str | None = None,
        prefix: str | None = None,
    ) -> Checkpoint:
        """Read a file and recognise its layout.

        Args:
            path (str or PathLike): The file, or a folder of Hugging Face's
                form.
            config (str or Config, optional): Config or its file to build
                from, in place of the checkpoint's own.
            trust (bool): Whether the checkpoint and its config may run code
                (``--trust-checkpoint``).
            layout (str, optional): One of
                :data:`~.layouts.LAYOUT_CHOICES`. Defaults to None: found by
                the names in the file.
            prefix (str, optional): Prefix of a network with torchvision's or
                timm's names, in place of a layout.

        Raises:
            FileNotFoundError: If there is no such file.
            IsADirectoryError: If it is a folder.
            ValueError: If it is no checkpoint, would run code, or is of no
                known layout.
        """
        file = checkpoint_file(path)
        path = str(file)
        content = read_file(path, trust)
        weights, notes = find_weights(content, path)
        if not has_checksums(file):
            notes.append(
                'The file has no checksums, as safetensors and files of torch '
                'before 1.6: damage to a value would not be noticed.'
            )
        if layout is None and prefix is None:
            has_config = config is not None or 'meta' in content
            found = find_layout(weights, has_config, path)
        else:
            found = choose_layout(weights, layout, prefix, path)
        return cls(path, content, weights, found, notes, trust, config)

    @property
    def meta(self) -> dict:
        """Metadata of the file; empty if there is none."""
        meta = self.content.get('meta')
        return meta if isinstance(meta, dict) else {}

    @property
    def epoch(self) -> int | None:
        """Epochs trained: mmengine notes them in 'meta', others at the top."""
        epochs = self.meta.get('epoch'), self.content.get('epoch')
        return next((n for n in epochs if isinstance(n, int)), None)

    @cached_property
    def config(self) -> CheckpointConfig | None:
        """The config that is named, else the checkpoint's own, if any."""
        if self.config_source is not None:
            return named_config(self.config_source)
        if isinstance(text := self.meta.get('cfg'), str):
            return stored_config(text, self.trust, self.path)
        return None

    def encoder(self, momentum: bool = False) -> Encoder:
        """Load the encoder, with its head and prototypes.

        It takes all of the weights or none.

        Args:
            momentum (bool): Whether the momentum encoder (key encoder,
                target, teacher) is taken.

        Returns:
            Encoder: On the CPU, in eval mode.

        Raises:
            FileNotFoundError: If the named config does not exist.
            ValueError: If the checkpoint does not fit the config, has no
                network, holds weights that are not finite, a part of a head
                or prototypes that do not fit it, or has no momentum encoder
                where one is asked for.
        """
        config = self.config
        names = self.names(momentum)
        backbone, network, width = self._backbone(names)
        neck, no_neck = self._head(names, width)
        learned = self._read(names.prototypes, neck)
        centroids, origin = read_centroids(self.content)
        prototypes = {**learned, **centroids}
        parts = nn.ModuleDict(dict(backbone=backbone))
        if neck is not None:
            parts['neck'] = neck
        check_finite({**parts.state_dict(), **prototypes}, self.path)
        encoder = Encoder(
            backbone,
            neck,
            self.layout.describe(self.weights, network),
            prototypes,
            'embedding' if prototypes else None,
            self.epoch,
            config.preprocess() if config else dict(IMAGENET_PREPROCESS),
            notes=[*self.notes, *no_neck, *origin],
        )
        if config is not None:
            encoder.config = config.cfg
            encoder.pipeline, encoder.dataset = config.data()
            encoder.notes += config.notes
            if self.layout.is_openmm:
                encoder.layout = config.kind
        else:
            encoder.notes += self.assumptions(backbone, names, momentum)
        encoder.notes += self.left_out(names)
        return encoder

    def prototypes(self, momentum: bool = False) -> State:
        """Return learned prototypes and the centroids of an E-step.

        No network is needed: a head that is stored alone will do, or a
        matrix.

        Returns:
            dict[str, Tensor]: Name with K to prototypes (K, D), float32, one
            entry a set, those of patches too unless they are copies; of the
            momentum encoder if it is asked for and has its own. Empty if
            there are none.

        Raises:
            ValueError: If they are not finite, zero or transposed, or a part
                of them is missing.
        """
        names = self.names(momentum)
        neck = None if self.layout.is_openmm else self._head(names)[0]
        sets = self._read(names.prototypes, neck)
        patches = self._read(names.patch_prototypes, title='patch prototypes')
        sets.update(
            (name, rows)
            for name, rows in patches.items()
            if not any(torch.equal(rows, other) for other in sets.values())
        )
        return {**sets, **read_centroids(self.content)[0]}

    def names(self, momentum: bool = False) -> Names:
        """Return the prefixes of the parts of one encoder."""
        return self.layout.names(self.weights, momentum, self.path)

    def backbone_weights(self, momentum: bool = False) -> State:
        """Return the weights of a backbone under mmpretrain's names.

        For mmpretrain's layout all below the prefix, else a network's alone.
        """
        names = self.names(momentum)
        weights = self._below(names, self.layout.is_openmm)
        if not weights:
            raise ValueError(
                f"'{self.path}' has no backbone under '{names.backbone}': its "
                f'{len(self.weights)} keys are {listed(self.weights)}.'
            )
        return self._renamed(weights)

    def assumptions(
        self, backbone: nn.Module, names: Names, momentum: bool
    ) -> list[str]:
        """Return notes on assumptions where no config describes a network."""
        notes = []
        if self.layout.is_openmm:
            notes.append(
                'There is no config: the networks were inferred from the '
                'shapes of the weights, and images are normalised as for '
                'ImageNet.'
            )
        notes.append(assumption(backbone))
        if self.layout.is_guessed and names.head:
            notes.append(
                f"'{names.head}' was taken for the projection head, with ReLU "
                'between its layers.'
            )
        online = self.layout.online.backbone == names.backbone
        if self.layout.advice and online:
            notes.append(self.layout.advice)
        return notes

    def left_out(self, names: Names) -> list[str]:
        """Return a note on the weights that are not part of an encoder."""
        body = self._below(names, self.layout.is_openmm)
        used = {names.backbone + key for key in body}
        groups = Counter(
            key.partition('.')[0]
            for key in self.weights
            if key not in used and not key.startswith(names.beside)
        )
        if not groups:
            return []
        rest = ', '.join(f'{group} ({n})' for group, n in groups.items())
        return [f'Left out, with their number of tensors: {rest}.']

    def _below(self, names: Names, everything: bool) -> State:
        """Return the weights below the backbone's prefix, or a network's."""
        start = len(names.backbone)
        below = {
            key[start:]: value
            for key, value in self.weights.items()
            if key.startswith(names.backbone)
            and not key.startswith(names.beside)
        }
        return below if start and everything else without_heads(below)

    def _renamed(self, weights: State) -> State:
        """Give mmpretrain's names, which those of its own networks are."""
        own = self.layout.is_openmm and self.config is not None
        return weights if own else to_mmpretrain(weights, self.path)

    def _backbone(self, names: Names) -> tuple[nn.Module, str, int | None]:
        """Load the backbone; return its name and, if inferred, width too."""
        config, width = self.config, None
        if config is None and not has_network(self.weights, names.backbone):
            raise ValueError(
                f"'{self.path}' ({self.layout.name}) has no network that is "
                f"known under '{names.backbone}': it has prototypes alone, "
                f'or needs its config, --config. {closest(self.weights)}.'
            )
        weights = self._below(names, everything=config is not None)
        official = self._renamed(weights)
        if config is not None:
            backbone = config.build('backbone')
            own = backbone.state_dict()  # of torchvision's not the classifier
            if len(own.keys() & official) > len(own.keys() & weights):
                weights = official
            weights = {
                key: value
                for key, value in weights.items()
                if key in own or not key.startswith('fc.')
            }
            network = type(backbone).__name__
            if hasattr(backbone, 'depth'):
                network += f'-{backbone.depth}'
        else:
            weights = official
            backbone, network, width = infer_backbone(
                weights, self.path, **self.layout.network
            )
        load_all(backbone, weights, f"weights of '{self.path}'")
        return backbone, network, width

    def _head(
        self, names: Names, width: int | None = None
    ) -> tuple[nn.Module | None, list[str]]:
        """Load the projection head of features (N, ``width``); notes too."""
        weights = select(self.weights, names.head)
        if self.layout.is_openmm and self.config is not None:
            has_neck = self.config.cfg.model.get('neck') is not None
            neck = self.config.build('neck') if has_neck else None
            if neck is None or not neck.state_dict():
                weights = {}
            elif weights:
                load_all(neck, weights, f"neck's weights of '{self.path}'")
                return neck, []
        if not weights:
            return None, ['There is no projection head: no embeddings.']
        if self.layout.rename_head is not None:
            weights = self.layout.rename_head(weights)
        try:
            head = ProjectionHead(weights, self.layout.activation)
        except PartialHeadError as error:
            raise ValueError(
                f"The projection head under '{names.head}' in '{self.path}' "
                f'is not whole: {error}. Take a checkpoint that is.'
            ) from error
        except ValueError as error:
            return None, [
                f"The projection head under '{names.head}' was left out, "
                f'because {error}: no embeddings.'
            ]
        if width not in (None, head.in_features):
            raise ValueError(
                f"The projection head under '{names.head}' in '{self.path}' "
                f'takes {head.in_features} features, but the network under '
                f"'{names.backbone}' gives {width}: they are not of one model."
            )
        return head, []

    def _read(
        self,
        prefixes: tuple[str, ...],
        neck: nn.Module | None = None,
        title: str = 'prototypes',
    ) -> State:
        """Read prototypes, and check them and that they fit the head."""
        try:
            sets = read_prototypes(select(self.weights, *prefixes), title)
        except ValueError as error:
            raise ValueError(f"'{self.path}' {error}.") from error
        check_prototypes(sets, getattr(neck, 'out_features', None), self.path)
        return sets
