# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .backbones import TinyConvNet
from .carp import CARP
from .cld import CLD
from .cosine_momentum_encoder import CosineMomentumEncoder
from .embed import embed_batch, embed_images
from .heads import CARPHead, ProtoNCEHead
from .losses import (
    PrototypeAlignmentLoss,
    PrototypeCorrelationLoss,
    PrototypeUniformityLoss,
)
from .momentum_contrast import MomentumContrast
from .momentum_encoder import MomentumEncoder
from .necks import AvgPoolFlatten, CARPNeck, CLDNeck
from .pauc import PAUC
from .pcl import PCL
from .prototypes import (
    BasePrototypes,
    KMeansPrototypes,
    LearnedPrototypes,
    MixturePrototypes,
    MomentumBank,
)

__all__ = [
    'CARP',
    'CLD',
    'PAUC',
    'PCL',
    'AvgPoolFlatten',
    'BasePrototypes',
    'CARPHead',
    'CARPNeck',
    'CLDNeck',
    'CosineMomentumEncoder',
    'LearnedPrototypes',
    'MixturePrototypes',
    'MomentumBank',
    'MomentumContrast',
    'MomentumEncoder',
    'ProtoNCEHead',
    'PrototypeAlignmentLoss',
    'PrototypeCorrelationLoss',
    'KMeansPrototypes',
    'PrototypeUniformityLoss',
    'TinyConvNet',
    'embed_batch',
    'embed_images',
]
