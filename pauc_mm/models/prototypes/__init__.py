# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Prototypes of PCL, PAUC and CARP."""

from .learned_prototypes import LearnedPrototypes
from .mixture_prototypes import MixturePrototypes
from .momentum_bank import MomentumBank
from .prototype_sets import PrototypeSets

__all__ = [
    'LearnedPrototypes',
    'MixturePrototypes',
    'MomentumBank',
    'PrototypeSets',
]
