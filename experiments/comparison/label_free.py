# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Label-free measures of a trained model, and what labels say of it."""

from __future__ import annotations

import torch
from mmengine.dataset import Compose
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import Tensor

from pauc_mm.datasets.dataset_views import with_pipeline
from pauc_mm.diagnosis.measures import measure_space
from pauc_mm.embedding.dataset import embed_dataset, undisturbed
from pauc_mm.evaluation.collapse import evenly, prototype_sets
from pauc_mm.evaluation.functional import (
    alignment,
    koleo,
    lidar,
    unique_prototypes,
    view_agreement,
)

from .frozen_accuracy import FrozenAccuracy

MEASURE = 'experiments.comparison.label_free:measure'
_IMAGES, _VIEWS = 500, 5


def measure(runner: Runner) -> dict[str, float]:
    """Measure accuracy on held-out images, and all else without a label.

    What needs no label is of the training images, not augmented, except for
    LiDAR, alignment and agreement: they are of 5 views of 500 images.
    Values that are not defined for a model are left out.
    """
    loop = runner.val_loop
    recipe = loop.evaluator
    loop.evaluator = Evaluator([FrozenAccuracy(shots=())])
    loop.evaluator.dataset_meta = recipe.dataset_meta
    try:
        metrics = loop.run()
    finally:
        loop.evaluator = recipe
    features, embeddings = embed_dataset(
        runner.model, loop.bank_dataloader.dataset
    )
    values = {
        'feature': measure_space(features),
        'embedding': measure_space(embeddings),
        'views': {},
        'prototypes': {},
    }
    views = _embed_views(runner)
    for name, seen in zip(('feature', 'embedding'), views):
        values['views'][f'lidar_{name}'] = lidar(
            torch.nn.functional.normalize(seen, dim=2)
        )
    pair = views[1][:, 0], views[1][:, 1]
    values['views']['alignment'] = alignment(*pair)
    sets = [s.vectors.float().cpu() for s in prototype_sets(runner.model)]
    if sets:
        largest = max(sets, key=len)
        values['prototypes'] = dict(
            koleo=koleo(largest, 'prototypes'),
            unique=unique_prototypes(largest, (0.025,))[0.025],
            view_agreement=view_agreement(*pair, largest),
        )
    for group, found in values.items():
        metrics.update(
            (f'{group}/{name}', value)
            for name, value in found.items()
            if isinstance(value, float)
        )
    return {name: float(value) for name, value in metrics.items()}


def _embed_views(runner: Runner) -> tuple[Tensor, Tensor]:
    """Return features and embeddings of views, (n, views, D)."""
    dataset = runner.train_dataloader.dataset
    steps = runner.cfg.train_dataloader.dataset.pipeline
    (several,) = [step for step in steps if step['type'] == 'MultiView']
    one = Compose([*several['transforms'][0], dict(type='PackInputs')])
    rows = evenly(len(dataset), _IMAGES)
    with undisturbed(runner.model):
        passes = [
            embed_dataset(runner.model, with_pipeline(dataset, one), rows)
            for _ in range(_VIEWS)
        ]
    features, embeddings = (torch.stack(p, dim=1) for p in zip(*passes))
    return features, embeddings
