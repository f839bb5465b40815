# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import torch
from torch import nn

from pauc_mm.utils.training_step import training_step

from .momentum_encoder import MomentumEncoder


class CosineMomentumEncoder(MomentumEncoder):
    """Momentum encoder whose step size decays to zero on a half cosine.

    0.01 is the momentum of 0.99 rising to 1 of BYOL, DINO and CARP.
    mmpretrain's CosineEMA without :class:`MomentumEncoder`'s statistics.

    Args:
        model (nn.Module): The encoder to be averaged.
        momentum (float): The first step, in (0, 1).
    """

    def __init__(self, model: nn.Module, momentum: float) -> None:
        super().__init__(model, momentum)
        self.first_momentum = momentum

    @torch.compiler.disable  # a number that changes would compile anew
    def update_parameters(self, model: nn.Module) -> None:
        """Average in the parameters of the student."""
        step, steps = training_step()
        fall = (1 + math.cos(math.pi * step / steps)) / 2
        self.momentum = self.first_momentum * fall
        super().update_parameters(model)
