# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math
from typing import Any

import torch
from mmengine.model import ExponentialMovingAverage
from torch import nn

from pauc_mm.utils.training_step import training_step


class MomentumEncoder(ExponentialMovingAverage):
    """Momentum encoder of MoCo: averaged weights, BatchNorm's own statistics.

    mmengine's average copies the buffers of the source model at every step,
    which would pair averaged weights with the running statistics of the query
    encoder. MoCo's key encoder keeps the statistics of the keys it has seen,
    and the E-step, in eval mode, needs those. All parameters are averaged by
    one multi-tensor operation. Where gradients are accumulated, ``interval``
    is the number of batches of a step.
    """

    _started = False

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Average in the parameters of the query encoder."""
        source = dict(model.named_parameters())
        averaged = [p.data for p in self.avg_parameters.values()]
        current = [source[name].data for name in self.avg_parameters]
        if not self.started:
            # Only now are the weights of the query encoder initialised.
            torch._foreach_copy_(averaged, current)
            for buffer, query in zip(self.module.buffers(), model.buffers()):
                buffer.data.copy_(query.data)
        elif self.interval == 1 or int(self.steps) % self.interval == 0:
            torch._foreach_lerp_(averaged, current, self.momentum)
        self.steps += 1
        self._started = True

    @property
    def started(self) -> bool:
        """Whether it has taken over the weights of the query encoder.

        The counter, a tensor, is read once: each read waits for the device.
        """
        if not self._started:
            self._started = bool(self.steps > 0)
        return self._started

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._started = False


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

    @torch.compiler.disable  # a changing number would recompile each step
    def update_parameters(self, model: nn.Module) -> None:
        """Average in the parameters of the student."""
        step, steps = training_step()
        fall = (1 + math.cos(math.pi * step / steps)) / 2
        self.momentum = self.first_momentum * fall
        super().update_parameters(model)
