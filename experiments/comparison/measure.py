# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Metrics of every trained model, whatever its method."""

from __future__ import annotations

from mmengine.evaluator import Evaluator
from mmengine.runner import Runner

from pauc_mm.evaluation.collapse import prototype_sets
from pauc_mm.evaluation.metrics import NEMD

from .frozen_accuracy import FrozenAccuracy
from .prototype_collapse import PrototypeCollapse

MEASURE = 'experiments.comparison.measure:measure'


def measure(runner: Runner) -> dict[str, float]:
    """Measure accuracy, NEMD with its companions, and prototype collapse.

    Raises:
        ValueError: If the recipe has no validation, or its data do not allow
            a measure.
    """
    loop = runner.val_loop
    if loop is None or getattr(loop, 'bank_dataloader', None) is None:
        raise ValueError(
            'The recipe has no val_cfg of type EmbeddingValLoop with a '
            'bank_dataloader: there is nothing to compare methods on.'
        )
    device = next(runner.model.parameters()).device
    sets = [s.vectors.cpu() for s in prototype_sets(runner.model)]
    recipe = loop.evaluator
    loop.evaluator = Evaluator(
        [
            FrozenAccuracy(device=str(device)),
            NEMD(groups='labels', prefix='nemd_labels'),
            NEMD(groups='clusters', prefix='nemd_clusters'),
            PrototypeCollapse(sets),
        ]
    )
    loop.evaluator.dataset_meta = recipe.dataset_meta
    try:
        metrics = loop.run()
    finally:
        loop.evaluator = recipe
    return {name: float(value) for name, value in metrics.items()}
