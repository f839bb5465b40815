# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
import torch.nn.functional as F
from torch import nn


class LearnedPrototypes(nn.Module):
    """Prototypes that are trained with the encoder, of length 1.

    A linear layer with weight normalisation and its lengths fixed at 1.

    Args:
        num_prototypes (int): K.
        dim (int): D.
    """

    def __init__(self, num_prototypes: int, dim: int) -> None:
        super().__init__()
        # Only directions count, but the length divides the step of SGD: this
        # is that of torch's linear layers, with which CARP was published.
        weight = torch.empty(num_prototypes, dim).uniform_(-1, 1)
        self.weight = nn.Parameter(weight / dim**0.5)

    def vectors(self) -> torch.Tensor:
        """The prototypes, with their gradient.

        Returns:
            Tensor: l2-normalised, shape (K, D), float32.
        """
        with torch.autocast(self.weight.device.type, enabled=False):
            return F.normalize(self.weight.float(), dim=1)
