# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Evaluations of frozen, cached features: minutes, and no GPU is needed."""

from __future__ import annotations

from functools import partial

import torch

from ..evaluations import (
    evaluate_knn,
    evaluate_linear_probe,
    evaluate_low_shot,
)
from ..features import FeatureOptions, find_images
from ..low_shot_draw import as_targets
from .published import SHOTS
from .task import OWN, Figure, Setup, Task

NEIGHBOURS = 20
KNN = (
    f'{NEIGHBOURS} neighbours and temperature 0.1, as PCL; on the features of '
    'the backbone, where PCL takes those of the momentum encoder.'
)
PROBE = (
    'One centre crop an image, learning rate chosen on a tenth of the '
    'training images. The papers train with random crops for 100 epochs.'
)
SVM = (
    'liblinear; the cost by cross-validation on the training images, where '
    "the papers' code takes a fixed one or the best on the test."
)


def _knn(setup: Setup, where, row: str) -> dict[str, Figure]:
    found = evaluate_knn(where(setup), [NEIGHBOURS])['accuracies']
    return {row: Figure(100 * found[str(NEIGHBOURS)])}


def _probe(setup: Setup, where, rows: dict[str, str]) -> dict[str, Figure]:
    result = evaluate_linear_probe(where(setup), [setup.seed])
    top = result['runs'][0]['test']
    return {row: Figure(100 * top[k]) for k, row in rows.items() if k in top}


def _low_shot(
    setup: Setup, where, data: str, full: bool = False
) -> dict[str, Figure]:
    shots = [*SHOTS, *(['full'] if full else [])]
    options = where(setup)
    if data == OWN:
        shots = _possible(options)
    result = evaluate_low_shot(
        options, shots, draws=setup.draws, seed=setup.seed, jobs=setup.jobs
    )
    return {
        svm_row(data, row['k']): Figure(
            100 * row['mean'],
            None if row['std'] is None else 100 * row['std'],
        )
        for row in result['rows']
    }


def _possible(options: FeatureOptions) -> list[int]:
    """Numbers of images that every class has."""
    _, train, _ = find_images(options)
    targets = as_targets(train.labels, len(train.classes))
    smallest = int((torch.as_tensor(targets) == 1).sum(0).min())
    shots = [k for k in SHOTS if k <= smallest]
    if not shots:
        raise ValueError(
            f'a class of {train.description} has no image to train on.'
        )
    return shots


TITLES = dict(own='own images', voc07='VOC07', places205='Places205')


def svm_row(data: str, k) -> str:
    """Row of the table."""
    metric = 'mAP' if data == 'voc07' else 'top-1'
    shots = 'all images' if k == 'full' else f'k = {k}'
    return f'{TITLES[data]}: linear SVM, {shots}, {metric}'


def _svm_rows(data: str, full: bool = False) -> dict[str, str]:
    keys = [str(k) for k in SHOTS]
    published = {
        svm_row(data, k): '' if data == OWN else f'{data} SVM k={k}'
        for k in keys
    }
    if full:
        published[svm_row(data, 'full')] = f'{data} SVM full'
    return published


def _own(setup: Setup) -> FeatureOptions:
    return setup.options


def _recipe(setup: Setup, name: str) -> FeatureOptions:
    """With the data of one of configs/benchmarks/linear."""
    config = f'benchmarks/linear/resnet50_8xb32-linear-{name}.py'
    return setup.on(data_config=f'pauc_mm::{config}')


def _voc07(setup: Setup) -> FeatureOptions:
    return setup.on(voc=setup.data['voc07'].folder)


def _linear(name: str, data: str, title: str, where, keys: dict) -> Task:
    rows = {k: f'{title}: linear probe, top-{k}' for k in ('1', '5')}
    return Task(
        name,
        data,
        {row: keys.get(k, '') for k, row in rows.items()},
        partial(_probe, where=where, rows=rows),
        PROBE,
    )


def frozen_tasks() -> list[Task]:
    """The evaluations, in the order of the table."""
    own_knn = 'own images: kNN, top-1'
    imagenet_knn = 'ImageNet-1k: kNN, top-1'
    imagenet = partial(_recipe, name='pcl-100e_in1k')
    imagenet100 = partial(_recipe, name='pcl-100e_in100')
    places = partial(_recipe, name='pcl-40e_places205')
    return [
        Task(
            'own-knn',
            OWN,
            {own_knn: ''},
            partial(_knn, where=_own, row=own_knn),
            KNN,
        ),
        _linear('own-linear', OWN, 'own images', _own, {}),
        Task(
            'own-low-shot',
            OWN,
            _svm_rows(OWN),
            partial(_low_shot, where=_own, data=OWN),
            SVM,
        ),
        Task(
            'imagenet-knn',
            'imagenet',
            {imagenet_knn: 'imagenet kNN'},
            partial(_knn, where=imagenet, row=imagenet_knn),
            KNN,
        ),
        _linear(
            'imagenet-linear',
            'imagenet',
            'ImageNet-1k',
            imagenet,
            {'1': 'imagenet top-1'},
        ),
        _linear(
            'imagenet100-linear',
            'imagenet100',
            'ImageNet-100',
            imagenet100,
            {'1': 'imagenet100 top-1', '5': 'imagenet100 top-5'},
        ),
        Task(
            'voc07-low-shot',
            'voc07',
            _svm_rows('voc07', full=True),
            partial(_low_shot, where=_voc07, data='voc07', full=True),
            SVM,
        ),
        Task(
            'places205-low-shot',
            'places205',
            _svm_rows('places205'),
            partial(_low_shot, where=places, data='places205'),
            SVM,
        ),
    ]
