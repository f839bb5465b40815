# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Toy experiment of PAUC's figure 2: blobs in 3-D onto the unit circle."""

from .blobs import Blobs, draw_batches, draw_views, sample_blobs
from .experiment import (
    PointClusteringHook,
    build_model,
    measure,
    train,
)
from .methods import METHODS, Method, model_cfg
from .point_models import LiteralSignPAUC, PointMLP, PointPreprocessor
from .settings import Settings
from .toy_run import ToyRun, toy_run

__all__ = [
    'METHODS',
    'Blobs',
    'LiteralSignPAUC',
    'Method',
    'PointClusteringHook',
    'PointMLP',
    'PointPreprocessor',
    'Settings',
    'ToyRun',
    'build_model',
    'draw_batches',
    'draw_views',
    'measure',
    'model_cfg',
    'sample_blobs',
    'toy_run',
    'train',
]
