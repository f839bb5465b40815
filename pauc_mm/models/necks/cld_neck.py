# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
from mmengine.model import BaseModule
from mmpretrain.models.heads.margin_head import NormProduct
from mmpretrain.registry import MODELS
from torch import nn
from torch.nn import functional as F

from pauc_mm.utils.checks import check_integer


@MODELS.register_module()
class CLDNeck(BaseModule):
    """The projections of CLD: one hidden layer, two branches.

    The instance branch comes first and is the image's embedding; the group
    branch is clustered within a batch.

    Args:
        in_channels (int): Channels of the backbone's last map.
        hid_channels (int): Width of the hidden layer.
        out_channels (int): D, dimension of both embeddings.
        norm_linear (bool): Whether the branches give cosines of the hidden
            features and each row of weights, without a bias; False: linear
            layers, as in MoCo v2.
    """

    def __init__(
        self,
        in_channels: int,
        hid_channels: int,
        out_channels: int,
        norm_linear: bool = True,
    ) -> None:
        super().__init__()
        for name, value in (
            ('in_channels', in_channels),
            ('hid_channels', hid_channels),
            ('out_channels', out_channels),
        ):
            check_integer(f'model.neck.{name}', value, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Linear(in_channels, hid_channels)
        layer = NormProduct if norm_linear else nn.Linear
        self.instance = layer(hid_channels, out_channels)
        self.group = layer(hid_channels, out_channels)
        if norm_linear:
            # The gradient of normalised weights scales with the inverse of
            # their length; the official code starts with rows of length 1.
            for branch in (self.instance, self.group):
                with torch.no_grad():
                    branch.weight.copy_(F.normalize(branch.weight, dim=1))

    def forward(
        self, feats: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Pool and project the last map.

        Returns:
            tuple[Tensor, Tensor]: The embeddings of the instance and of the
            group branch, shape (N, D), not yet normalised.
        """
        features = self.pool(feats[-1]).flatten(1)
        hidden = F.relu(self.hidden(features))
        return self.instance(hidden), self.group(hidden)
