# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import nn


@MODELS.register_module()
class PointMLP(BaseModule):
    """Linear layers with ReLU, a backbone for vectors instead of images.

    Args:
        in_channels (int): Length of the vectors. Defaults to 3.
        channels (Sequence[int]): Units of each layer; the last is the number
            of features. Defaults to (64, 64).
        init_cfg (dict, optional): Initialization config. Defaults to None:
            torch's.

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
        """Features of vectors.

        Args:
            x (Tensor): Shape (N, in_channels), float.

        Returns:
            tuple[Tensor]: One tensor, shape (N, channels[-1]).
        """
        return (self.layers(x),)
