# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .functional import (
    koleo,
    proto_nce,
    prototype_alignment,
    prototype_correlation,
    prototype_uniformity,
)
from .prototype_losses import (
    KoLeoLoss,
    PrototypeAlignmentLoss,
    PrototypeCorrelationLoss,
    PrototypeUniformityLoss,
)

__all__ = [
    'KoLeoLoss',
    'PrototypeAlignmentLoss',
    'PrototypeCorrelationLoss',
    'PrototypeUniformityLoss',
    'koleo',
    'proto_nce',
    'prototype_alignment',
    'prototype_correlation',
    'prototype_uniformity',
]
