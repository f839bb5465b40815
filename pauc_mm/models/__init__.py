# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from . import backbones, heads, losses, necks, prototypes
from .backbones import *  # noqa: F403
from .carp import CARP
from .cld import CLD
from .device_augmentation import DeviceAugmentation
from .embed import embed_batch, embed_images
from .heads import *  # noqa: F403
from .losses import *  # noqa: F403
from .momentum_contrast import MomentumContrast
from .momentum_encoder import CosineMomentumEncoder, MomentumEncoder
from .necks import *  # noqa: F403
from .pauc import PAUC
from .pcl import PCL
from .prototypes import *  # noqa: F403

__all__ = [
    *backbones.__all__,
    *heads.__all__,
    *losses.__all__,
    *necks.__all__,
    *prototypes.__all__,
    'CARP',
    'CLD',
    'PAUC',
    'PCL',
    'CosineMomentumEncoder',
    'DeviceAugmentation',
    'MomentumContrast',
    'MomentumEncoder',
    'embed_batch',
    'embed_images',
]
