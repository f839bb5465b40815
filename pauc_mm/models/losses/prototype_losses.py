# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.utils.checks import check_positive

from .functional import (
    koleo,
    prototype_alignment,
    prototype_correlation,
    prototype_uniformity,
)


class PrototypeLoss(nn.Module):
    """Base of PAUC's terms: a weighted mean over clusterings, in float32.

    A subclass names its config key and computes ``_term``.

    Args:
        loss_weight (float): Weight of the term; 0 switches it off.
    """

    key: str
    _term: Callable[..., torch.Tensor]  # loss of each clustering, (...)

    def __init__(self, loss_weight: float) -> None:
        super().__init__()
        self.loss_weight = check_positive(
            f'{self.key}.loss_weight', loss_weight, zero=True
        )

    def forward(
        self, *prototypes: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the weighted loss, a scalar.

        Args:
            *prototypes (Tensor): Shape (..., P, D), one for each view that
                the term compares.
            mask (Tensor, optional): Which rows count, shape (..., P), bool.

        Raises:
            ValueError: If the shapes leave no pair.
        """
        with torch.autocast(prototypes[0].device.type, enabled=False):
            loss = self._term(*(p.float() for p in prototypes), mask=mask)
        return self.loss_weight * loss.mean()


@MODELS.register_module()
class PrototypeAlignmentLoss(PrototypeLoss):
    """Alignment of positive prototypes (PAUC, eq. 4).

    Args:
        loss_weight (float): alpha of eq. 7.
        power (float): s, the exponent of the distance.
    """

    key = 'model.align_loss'

    def __init__(self, loss_weight: float = 1.0, power: float = 2.0) -> None:
        super().__init__(loss_weight)
        self.power = check_positive(f'{self.key}.power', power)

    def _term(self, prototypes, positives, mask):
        if prototypes.shape != positives.shape or not prototypes.numel():
            raise ValueError(
                'Positive prototypes must come in pairs, got the shapes '
                f'{tuple(prototypes.shape)} and {tuple(positives.shape)}.'
            )
        return prototype_alignment(prototypes, positives, self.power, mask)


@MODELS.register_module()
class PrototypeUniformityLoss(PrototypeLoss):
    """Uniformity of the prototypes of one clustering (PAUC, eq. 5).

    Args:
        loss_weight (float): beta of eq. 7.
        t (float): Sharpness of the Gaussian kernel.
    """

    key = 'model.uniform_loss'

    def __init__(self, loss_weight: float = 1.0, t: float = 2.0) -> None:
        super().__init__(loss_weight)
        self.t = check_positive(f'{self.key}.t', t)

    def _term(self, prototypes, mask):
        return prototype_uniformity(_with_pairs(prototypes), self.t, mask)


@MODELS.register_module()
class PrototypeCorrelationLoss(PrototypeLoss):
    """Correlation of the prototypes of one clustering (PAUC, eq. 6).

    Args:
        loss_weight (float): gamma of eq. 7.
        temperature (float): T of the softmax that turns a prototype into a
            distribution over the dimensions.
    """

    key = 'model.corr_loss'

    def __init__(
        self, loss_weight: float = 0.1, temperature: float = 0.1
    ) -> None:
        super().__init__(loss_weight)
        self.temperature = check_positive(
            f'{self.key}.temperature', temperature
        )

    def _term(self, prototypes, mask):
        return prototype_correlation(
            _with_pairs(prototypes), self.temperature, mask
        )


@MODELS.register_module()
class KoLeoLoss(PrototypeLoss):
    """KoLeo of learned prototypes, which drives each from its nearest.

    The remedy of Govindarajan et al. (BMVC 2024, arXiv 2410.14060), with
    which docs/decoupled.md compares decoupling.

    Args:
        loss_weight (float): Weight of the term.
    """

    key = 'model.head.koleo_loss'

    def __init__(self, loss_weight: float = 0.1) -> None:
        super().__init__(loss_weight)

    def _term(self, prototypes, mask):
        return koleo(F.normalize(_with_pairs(prototypes), dim=-1))


def _with_pairs(prototypes: torch.Tensor) -> torch.Tensor:
    if prototypes.dim() < 2 or prototypes.shape[-2] < 2:
        raise ValueError(
            'The loss is a mean over pairs of prototypes and needs the shape '
            f'(..., P, D) with P >= 2, got {tuple(prototypes.shape)}.'
        )
    return prototypes
