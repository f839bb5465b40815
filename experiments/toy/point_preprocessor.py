# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from mmpretrain.registry import MODELS
from torch import nn


@MODELS.register_module()
class PointPreprocessor(nn.Module):
    """Hands a batch of points on as it is.

    The one for images looks at each data sample, which takes longer than all
    else in a step on small vectors.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """The batch.

        Args:
            data (dict): ``inputs`` and ``data_samples``.
            training (bool): Makes no difference. Defaults to False.
        """
        return data
