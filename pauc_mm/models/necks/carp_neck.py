# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.utils.checks import check_integer

_INIT = dict(type='TruncNormal', layer='Linear', std=0.02, bias=0)


@MODELS.register_module()
class CARPNeck(BaseModule):
    """Projection of CARP: linear layers with BatchNorm and GELU.

    Its output is not normalised: a longer embedding has a sharper assignment.

    Args:
        in_channels (int): Channels of the backbone.
        hid_channels (int): Width of the hidden layers.
        out_channels (int): D.
        num_layers (int): Linear layers, at least 2.
        init_cfg (dict, optional): Initialization config. Defaults to that of
            the official implementation, truncated normals of deviation 0.02.
    """

    def __init__(
        self,
        in_channels: int,
        hid_channels: int = 2048,
        out_channels: int = 256,
        num_layers: int = 3,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or _INIT)
        for name, value, least in (
            ('in_channels', in_channels, 1),
            ('hid_channels', hid_channels, 1),
            ('out_channels', out_channels, 1),
            ('num_layers', num_layers, 2),
        ):
            check_integer(f'model.neck.{name}', value, least)
        self.pool = nn.AdaptiveAvgPool2d(1)
        layers, width = [], in_channels
        for _ in range(num_layers - 1):
            layers += [
                nn.Linear(width, hid_channels),
                nn.BatchNorm1d(hid_channels),
                nn.GELU(),
            ]
            width = hid_channels
        layers.append(nn.Linear(width, out_channels))
        self.mlp = nn.Sequential(*layers)

    def forward(self, feats: tuple[torch.Tensor, ...]) -> tuple:
        """Pool and project the last stage.

        Returns:
            tuple[Tensor]: One tensor, shape (N, D).
        """
        return (self.mlp(self.pool(feats[-1]).flatten(1)),)
