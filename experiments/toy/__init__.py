# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The toy experiment: PAUC's figure 2, blobs in 3-D onto the unit circle.

Not imported by ``import pauc_mm``; ``experiments/toy_blobs.py`` runs it.
"""

from .blobs import Blobs, draw_batches, draw_views, sample_blobs
from .experiment import (
    Run,
    build_model,
    check_run,
    measure,
    perform,
    train,
)
from .literal_sign import LiteralSignPAUC
from .methods import METHODS, Method, model_cfg
from .point_clustering_hook import PointClusteringHook
from .point_mlp import PointMLP
from .point_preprocessor import PointPreprocessor
from .settings import Settings

__all__ = [
    'METHODS',
    'Blobs',
    'LiteralSignPAUC',
    'Method',
    'PointClusteringHook',
    'PointMLP',
    'PointPreprocessor',
    'Run',
    'Settings',
    'build_model',
    'check_run',
    'draw_batches',
    'draw_views',
    'measure',
    'model_cfg',
    'perform',
    'sample_blobs',
    'train',
]
