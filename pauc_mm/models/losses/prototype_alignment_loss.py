# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0

import torch
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.utils.checks import check_positive

from .functional import prototype_alignment


@MODELS.register_module()
class PrototypeAlignmentLoss(nn.Module):
    """Weighted alignment of positive prototypes (PAUC, eq. 4).

    Args:
        loss_weight (float): alpha of eq. 7; 0 switches the term off.
            Defaults to 1.
        power (float): s, the exponent of the distance. Defaults to 2.

    Raises:
        ValueError: If the weight is negative or the power not positive.
    """

    def __init__(self, loss_weight: float = 1.0, power: float = 2.0) -> None:
        super().__init__()
        self.loss_weight = check_positive(
            'model.align_loss.loss_weight', loss_weight, zero=True
        )
        self.power = check_positive('model.align_loss.power', power)

    def forward(
        self,
        prototypes: torch.Tensor,
        positives: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The weighted loss; see :func:`prototype_alignment`.

        Args:
            prototypes (Tensor): Shape (..., P, D).
            positives (Tensor): Shape (..., P, D), row by row the same
                clusters.
            mask (Tensor, optional): Which rows count, shape (..., P), bool.

        Returns:
            Tensor: Scalar, the mean over the leading dimensions.

        Raises:
            ValueError: If the shapes differ or there is no prototype.
        """
        if prototypes.shape != positives.shape or not prototypes.numel():
            raise ValueError(
                'Positive prototypes come in pairs, but the shapes are '
                f'{tuple(prototypes.shape)} and {tuple(positives.shape)}.'
            )
        with torch.autocast(prototypes.device.type, enabled=False):
            loss = prototype_alignment(
                prototypes.float(), positives.float(), self.power, mask
            )
        return self.loss_weight * loss.mean()
