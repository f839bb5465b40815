# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Registered parts of the models for points."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.models import PAUC


@MODELS.register_module()
class PointMLP(BaseModule):
    """Backbone of linear layers with ReLU, for vectors instead of images.

    Args:
        in_channels (int): Length of the vectors. Defaults to 3.
        channels (Sequence[int]): Units of each layer; the last is the number
            of features. Defaults to (64, 64).
        init_cfg (dict, optional): Initialization config. None: torch's.

    Raises:
        ValueError: If there is no layer.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (64, 64),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if not channels:
            raise ValueError(
                f'backbone.channels={channels!r} must name at least one layer.'
            )
        layers = []
        for width in channels:
            layers += [nn.Linear(in_channels, width), nn.ReLU(inplace=True)]
            in_channels = width
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        """Return the features of vectors."""
        return (self.layers(x),)


@MODELS.register_module()
class PointPreprocessor(nn.Module):
    """Data preprocessor that hands a batch of points on as it is.

    The one for images looks at each data sample, which takes longer than all
    else in a step on small vectors.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return the batch."""
        return data


@MODELS.register_module()
class LiteralSignPAUC(PAUC):
    """PAUC with the sign that its eq. 7 prints. It collapses: do not use it.

    The minus before the bracket of eq. 7 belongs to ProtoNCE's logarithm, but
    the three terms stand in the bracket too, so that read literally they are
    maximised. The toy experiment shows the consequence.
    """

    def prototype_losses(
        self, query: torch.Tensor, key: torch.Tensor, assigned: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return the losses of :class:`PAUC`, the three terms negated."""
        losses = super().prototype_losses(query, key, assigned)
        for name in ('loss_align', 'loss_uniform', 'loss_corr'):
            if name in losses:
                losses[name] = -losses[name]
        return losses
