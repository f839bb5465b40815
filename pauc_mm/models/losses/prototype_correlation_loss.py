# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0

import torch
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.utils.checks import check_pairs, check_positive

from .functional import prototype_correlation


@MODELS.register_module()
class PrototypeCorrelationLoss(nn.Module):
    """Weighted correlation of the prototypes of one clustering (PAUC, eq. 6).

    Args:
        loss_weight (float): gamma of eq. 7; 0 switches the term off.
            Defaults to 0.1.
        temperature (float): T of the softmax that turns a prototype into a
            distribution over the dimensions. Defaults to 0.1.

    Raises:
        ValueError: If the weight is negative or T not positive.
    """

    def __init__(
        self, loss_weight: float = 0.1, temperature: float = 0.1
    ) -> None:
        super().__init__()
        self.loss_weight = check_positive(
            'model.corr_loss.loss_weight', loss_weight, zero=True
        )
        self.temperature = check_positive(
            'model.corr_loss.temperature', temperature
        )

    def forward(
        self,
        prototypes: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The weighted loss; see :func:`prototype_correlation`.

        Args:
            prototypes (Tensor): Shape (..., P, D), P >= 2.
            mask (Tensor, optional): Which rows count, shape (..., P), bool.

        Returns:
            Tensor: Scalar, the mean over the leading dimensions.

        Raises:
            ValueError: If there is no pair of prototypes.
        """
        check_pairs(prototypes)
        with torch.autocast(prototypes.device.type, enabled=False):
            loss = prototype_correlation(
                prototypes.float(), self.temperature, mask
            )
        return self.loss_weight * loss.mean()
