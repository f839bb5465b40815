# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Evaluate an encoder by classifiers on its frozen features."""

from .average_precision import average_precision
from .evaluations import evaluate_knn, evaluate_linear_probe, evaluate_low_shot
from .features import FeatureOptions, LabelledFeatures, extract
from .linear_probe import LinearProbe, ProbeSelection, fit_linear_probe
from .low_shot import LowShotOptions, low_shot_svm
from .probe_training import ProbeOptions

__all__ = [
    'FeatureOptions',
    'LabelledFeatures',
    'LinearProbe',
    'LowShotOptions',
    'ProbeOptions',
    'ProbeSelection',
    'average_precision',
    'evaluate_knn',
    'evaluate_linear_probe',
    'evaluate_low_shot',
    'extract',
    'fit_linear_probe',
    'low_shot_svm',
]
