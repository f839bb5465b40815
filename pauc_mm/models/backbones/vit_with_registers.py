# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from typing import Any

import torch
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.registry import MODELS
from torch import nn


class Registers(nn.Module):
    """Registers, learned tokens that stand between class token and patches."""

    def __init__(self, num: int, dims: int) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.zeros(1, num, dims))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Insert them into tokens (N, L, C) with positions."""
        tokens = self.tokens.expand(len(x), -1, -1)
        return torch.cat([x[:, :1], tokens, x[:, 1:]], dim=1)


@MODELS.register_module()
class ViTWithRegisters(VisionTransformer):
    """VisionTransformer with the registers of DINOv2 (arXiv 2309.16588).

    They have no positions, and are not part of the output.

    Args:
        *args: Of mmpretrain's VisionTransformer.
        num_registers (int): Number of registers. Defaults to 4.
        **kwargs: Of mmpretrain's VisionTransformer.
    """

    pre_norm: nn.Module

    def __init__(
        self, *args: Any, num_registers: int = 4, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.num_registers = num_registers
        registers = Registers(num_registers, self.embed_dims)
        # What comes between the positions and the first layer.
        self.pre_norm = nn.Sequential(registers, self.pre_norm)

    def _format_output(self, x: torch.Tensor, hw: tuple) -> torch.Tensor:
        x = torch.cat([x[:, :1], x[:, 1 + self.num_registers :]], dim=1)
        return super()._format_output(x, hw)
