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
    _count: int | None = None

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Average in the parameters of the query encoder."""
        started, due = self.started, self._advance()
        if not started:
            self.start(model)
        elif due:
            torch._foreach_lerp_(*self._pairs(model), self.momentum)

    @torch.no_grad()
    def start(self, model: nn.Module) -> None:
        """Take over the weights of the query encoder, now initialised."""
        torch._foreach_copy_(*self._pairs(model))
        for buffer, query in zip(self.module.buffers(), model.buffers()):
            buffer.data.copy_(query.data)
        self._started = True

    @property
    def started(self) -> bool:
        """Whether it has the weights of the query encoder."""
        if not self._started:
            self._started = self.count > 0
        return self._started

    @property
    @torch.compiler.disable
    def count(self) -> int:
        """Steps made: ``steps``, which is read, and waited for, once."""
        if self._count is None:
            self._count = int(self.steps)
        return self._count

    @torch.compiler.disable  # a changing number would recompile each step
    def _advance(self) -> bool:
        """Count a step; return whether its parameters are averaged in."""
        due = self.count % self.interval == 0
        self._count = self.count + 1
        self.steps += 1
        return due

    def _pairs(self, model: nn.Module) -> tuple[list, list]:
        source = dict(model.named_parameters())
        current = [source[name].data for name in self.avg_parameters]
        return [p.data for p in self.avg_parameters.values()], current

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._started, self._count = False, None


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
