# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .functional import (
    proto_nce,
    prototype_alignment,
    prototype_correlation,
    prototype_uniformity,
)
from .prototype_losses import (
    PrototypeAlignmentLoss,
    PrototypeCorrelationLoss,
    PrototypeUniformityLoss,
)

__all__ = [
    'PrototypeAlignmentLoss',
    'PrototypeCorrelationLoss',
    'PrototypeUniformityLoss',
    'proto_nce',
    'prototype_alignment',
    'prototype_correlation',
    'prototype_uniformity',
]
