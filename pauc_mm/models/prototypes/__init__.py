# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The registered slot ``model.prototypes`` of PCL, PAUC and CARP."""

from .base import (
    BasePrototypes,
    PrototypeSet,
    build_prototypes,
    refuse_old_options,
)
from .kmeans_prototypes import KMeansPrototypes
from .learned_prototypes import LearnedPrototypes
from .mixture_prototypes import MixturePrototypes
from .momentum_bank import MomentumBank

__all__ = [
    'BasePrototypes',
    'KMeansPrototypes',
    'LearnedPrototypes',
    'MixturePrototypes',
    'MomentumBank',
    'PrototypeSet',
    'build_prototypes',
    'refuse_old_options',
]
