# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .backbones import TinyConvNet
from .embedding import embed_batch, embed_images
from .extraction import check_finite, extract_embeddings
from .heads import ProtoNCEHead
from .losses import (
    PrototypeAlignmentLoss,
    PrototypeCorrelationLoss,
    PrototypeUniformityLoss,
)
from .momentum_bank import MomentumBank
from .momentum_encoder import MomentumEncoder
from .necks import AvgPoolFlatten
from .pauc import PAUC
from .pcl import PCL
from .prototypes import PrototypeSets

__all__ = [
    'PAUC',
    'PCL',
    'AvgPoolFlatten',
    'MomentumBank',
    'MomentumEncoder',
    'ProtoNCEHead',
    'PrototypeAlignmentLoss',
    'PrototypeCorrelationLoss',
    'PrototypeSets',
    'PrototypeUniformityLoss',
    'TinyConvNet',
    'check_finite',
    'embed_batch',
    'embed_images',
    'extract_embeddings',
]
