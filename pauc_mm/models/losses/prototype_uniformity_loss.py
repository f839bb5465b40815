# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0

import torch
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.utils.checks import check_pairs, check_positive

from .functional import prototype_uniformity


@MODELS.register_module()
class PrototypeUniformityLoss(nn.Module):
    """Weighted uniformity of the prototypes of one clustering (PAUC, eq. 5).

    Args:
        loss_weight (float): beta of eq. 7; 0 switches the term off.
            Defaults to 1.
        t (float): Sharpness of the Gaussian kernel. Defaults to 2.

    Raises:
        ValueError: If the weight is negative or t not positive.
    """

    def __init__(self, loss_weight: float = 1.0, t: float = 2.0) -> None:
        super().__init__()
        self.loss_weight = check_positive(
            'model.uniform_loss.loss_weight', loss_weight, zero=True
        )
        self.t = check_positive('model.uniform_loss.t', t)

    def forward(
        self,
        prototypes: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The weighted loss; see :func:`prototype_uniformity`.

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
            loss = prototype_uniformity(prototypes.float(), self.t, mask)
        return self.loss_weight * loss.mean()
