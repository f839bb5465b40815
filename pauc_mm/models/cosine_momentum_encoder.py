# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import torch
from torch import nn

from pauc_mm.utils.training_step import training_step

from .momentum_encoder import MomentumEncoder


class CosineMomentumEncoder(MomentumEncoder):
    """A momentum encoder that follows less and less, by half a cosine.

    Its step falls from ``momentum`` to zero over the training: 0.01 is the
    momentum of 0.99 rising to 1 of BYOL, DINO and CARP. mmpretrain's
    CosineEMA is the same but for what :class:`MomentumEncoder` adds.

    Args:
        model (nn.Module): The encoder to be averaged.
        momentum (float): The first step, in (0, 1).
    """

    def __init__(self, model: nn.Module, momentum: float) -> None:
        super().__init__(model, momentum)
        self.first_momentum = momentum

    @torch.compiler.disable  # a number that changes would compile anew
    def update_parameters(self, model: nn.Module) -> None:
        """Average in the parameters of the student.

        Args:
            model (nn.Module): The student, of the same structure.

        Raises:
            RuntimeError: If no Runner says how far the training is.
        """
        step, steps = training_step()
        fall = (1 + math.cos(math.pi * step / steps)) / 2
        self.momentum = self.first_momentum * fall
        super().update_parameters(model)
