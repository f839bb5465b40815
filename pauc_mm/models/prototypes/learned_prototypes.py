# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from typing import Any

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import nn

from .base import BasePrototypes


@MODELS.register_module()
class LearnedPrototypes(BasePrototypes):
    """Prototypes that the loss trains together with the encoder.

    The weights of a linear layer, normalised in each step.

    Args:
        **kwargs: See :class:`BasePrototypes`.
    """

    trained = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Only the direction is used, but the norm scales SGD's step;
        # initialise as nn.Linear does, as CARP did.
        weight = torch.empty(sum(self.sizes), self.dim).uniform_(-1, 1)
        self.weight = nn.Parameter(weight / self.dim**0.5)

    def vectors(self) -> torch.Tensor:
        """Return the prototypes (K, D), l2-normalised, with gradient."""
        return F.normalize(self.weight.float(), dim=1)
