# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
from mmpretrain.registry import MODELS

from pauc_mm.models import PAUC


@MODELS.register_module()
class LiteralSignPAUC(PAUC):
    """PAUC with the sign that its eq. 7 prints. It collapses: do not use it.

    The minus before the bracket of eq. 7 belongs to ProtoNCE's logarithm, but
    the three terms stand in the bracket too, so that read literally they are
    maximised. The toy experiment shows what comes of that.
    """

    def prototype_losses(
        self, query: torch.Tensor, key: torch.Tensor, assigned: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Those of :class:`PAUC`, the three terms with a minus."""
        losses = super().prototype_losses(query, key, assigned)
        for name in ('loss_align', 'loss_uniform', 'loss_corr'):
            if name in losses:
                losses[name] = -losses[name]
        return losses
