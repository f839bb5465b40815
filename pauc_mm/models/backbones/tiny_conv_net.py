# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import nn


@MODELS.register_module()
class TinyConvNet(BaseModule):
    """Network of a few convolutions, for images of 8 to 32 pixels on a CPU.

    3x3 convolutions with BatchNorm and ReLU, several times cheaper than the
    smallest residual net of mmpretrain. Each convolution is a stage: a
    detector takes the maps of several with ``out_indices``.

    Args:
        in_channels (int): Channels of the image.
        channels (Sequence[int]): Output channels of each convolution; the last
            is the number of features.
        strides (Sequence[int]): Stride of each convolution.
        out_indices (Sequence[int]): Stages whose maps are given out, by rising
            number; -1 is the last.
        frozen_stages (int): Number of first stages whose weights do not change
            in training. Their BatchNorm still takes its statistics from the
            images, unless ``norm_eval``.
        norm_eval (bool): Whether BatchNorm keeps to its stored statistics in
            training.
        init_cfg (dict, optional): Initialization config.

    Raises:
        ValueError: If there are not as many strides as channels, or
            ``out_indices`` or ``frozen_stages`` is out of range.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: Sequence[int] = (32, 64, 128),
        strides: Sequence[int] = (1, 2, 2),
        out_indices: Sequence[int] = (-1,),
        frozen_stages: int = 0,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if len(strides) != len(channels):
            raise ValueError(
                f'backbone.strides={strides} must have one entry for each of '
                f'backbone.channels={channels}.'
            )
        count = len(channels)
        known = range(-count, count)
        stages = [i % count for i in out_indices if i in known]
        rising = stages == sorted(set(stages))
        if not stages or len(stages) < len(out_indices) or not rising:
            raise ValueError(
                f'backbone.out_indices={out_indices} must be rising numbers '
                f'of the {count} stages, from 0 to {count - 1}, or -1 for the '
                'last.'
            )
        if frozen_stages not in range(count + 1):
            raise ValueError(
                f'backbone.frozen_stages={frozen_stages} must be from 0 to '
                f'{count}, the number of stages.'
            )
        self.out_indices = tuple(stages)
        self.norm_eval = norm_eval
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
        self.layers[:frozen_stages].requires_grad_(False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return feature maps of the stages in ``out_indices``.

        Args:
            x (Tensor): Images, shape (N, in_channels, H, W).

        Returns:
            tuple[Tensor, ...]: One map a stage of ``out_indices``, shape
            (N, channels[i], H', W').
        """
        maps = []
        for layer in list(self.layers)[: self.out_indices[-1] + 1]:
            x = layer(x)
            maps.append(x)
        return tuple(maps[i] for i in self.out_indices)

    def train(self, mode: bool = True) -> TinyConvNet:
        """Set the mode; with ``norm_eval`` BatchNorm stays in eval mode."""
        super().train(mode)
        if self.norm_eval:
            for layer in self.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()
        return self
