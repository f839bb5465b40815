# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch.nn import functional as F

from pauc_mm.utils.checks import check_integer


@MODELS.register_module()
class AvgPoolFlatten(BaseModule):
    """Average pooling over windows of a feature map, flattened.

    Goyal et al., *Scaling and Benchmarking Self-Supervised Visual
    Representation Learning* (ICCV 2019), pool 6x6 windows of the 7x7 map of
    ResNet-50's conv5: 8,192 numbers an image.

    Args:
        kernel_size (int): Side of a window.
        stride (int): From one window to the next.
    """

    def __init__(self, kernel_size: int = 6, stride: int = 1) -> None:
        super().__init__()
        self.kernel_size = check_integer('neck.kernel_size', kernel_size, 1)
        self.stride = check_integer('neck.stride', stride, 1)

    def forward(self, feats: tuple[torch.Tensor, ...]) -> tuple:
        """Pool the maps of each stage.

        Args:
            feats (tuple[Tensor]): Maps, shape (N, C, H, W).

        Returns:
            tuple[Tensor]: Shape (N, C * H' * W'), with H' = (H -
            kernel_size) // stride + 1, and so W'.

        Raises:
            ValueError: If a map is smaller than a window.
        """
        for x in feats:
            if min(x.shape[-2:]) < self.kernel_size:
                raise ValueError(
                    f'neck.kernel_size={self.kernel_size} is larger than the '
                    f'feature map of {x.shape[-2]}x{x.shape[-1]}: larger '
                    'images or smaller windows are needed.'
                )
        return tuple(
            F.avg_pool2d(x, self.kernel_size, self.stride).flatten(1)
            for x in feats
        )
