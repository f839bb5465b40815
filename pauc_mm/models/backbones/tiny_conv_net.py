# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from typing import Optional

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import nn


@MODELS.register_module()
class TinyConvNet(BaseModule):
    """A few convolutions, for images of 8 to 32 pixels on a CPU.

    3x3 convolutions with BatchNorm and ReLU. The smallest residual net of
    mmpretrain costs several times more a step, and small recipes need
    thousands of cheap steps.

    Args:
        in_channels (int): Channels of the image. Defaults to 3.
        channels (Sequence[int]): Output channels of each convolution; the
            last is the number of features. Defaults to (32, 64, 128).
        strides (Sequence[int]): Stride of each convolution.
            Defaults to (1, 2, 2).
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: If there are not as many strides as channels.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (32, 64, 128),
        strides: Sequence[int] = (1, 2, 2),
        init_cfg: Optional[dict] = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if len(strides) != len(channels):
            raise ValueError(
                f'backbone.strides={strides} must have one entry for each of '
                f'backbone.channels={channels}.'
            )
        layers = []
        for width, stride in zip(channels, strides):
            layers.append(
                ConvModule(
                    in_channels,
                    width,
                    kernel_size=3,
                    stride=stride,
                    padding=1,
                    norm_cfg=dict(type='BN'),
                )
            )
            in_channels = width
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        """Feature map of the last convolution.

        Args:
            x (Tensor): Images, shape (N, in_channels, H, W).

        Returns:
            tuple[Tensor]: One map, shape (N, channels[-1], H', W').
        """
        return (self.layers(x),)
