# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from typing import Any

import torch
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.registry import MODELS
from torch import nn


class _Registers(nn.Module):
    """Insert tokens between the class token and the patches."""

    def __init__(self, num: int, dims: int) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.zeros(1, num, dims))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.tokens.expand(len(x), -1, -1)
        return torch.cat([x[:, :1], tokens, x[:, 1:]], dim=1)


@MODELS.register_module()
class ViTWithRegisters(VisionTransformer):
    """VisionTransformer with the registers of DINOv2 (arXiv 2309.16588).

    These learned tokens have no positions, and are not part of the output.
    Arguments are mmpretrain's, and ``num_registers`` (int). Defaults to 4.
    """

    pre_norm: nn.Module  # between the positions and the first layer

    def __init__(self, num_registers: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_registers = num_registers
        registers = _Registers(num_registers, self.embed_dims)
        self.pre_norm = nn.Sequential(registers, self.pre_norm)

    def _format_output(self, x: torch.Tensor, hw: tuple) -> torch.Tensor:
        x = torch.cat([x[:, :1], x[:, 1 + self.num_registers :]], dim=1)
        return super()._format_output(x, hw)
