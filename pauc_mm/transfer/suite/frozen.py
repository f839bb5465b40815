# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Evaluations of frozen, cached features: no network is trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from pauc_mm import __version__
from pauc_mm.transfer.evaluations import (
    evaluate_knn,
    evaluate_linear_probe,
    evaluate_low_shot,
)
from pauc_mm.transfer.features import (
    FeatureOptions,
    file_stamp,
    find_images,
)
from pauc_mm.transfer.labelled_images import LabelledImages
from pauc_mm.transfer.low_shot_draw import as_targets

from .published import SHOTS
from .task import OWN, Figure, Setup, Task, plain_options

Where = Callable[[Setup], FeatureOptions]

NEIGHBOURS = 20
KNN = (
    f"{NEIGHBOURS} neighbours, temperature 0.1, the backbone's features. "
    "PCL's figure is of as many neighbours of its momentum features."
)
PROBE = (
    'One centre crop an image, learning rate chosen on a tenth of the '
    'training images. The papers train with random crops for 100 epochs.'
)
SVM = (
    'liblinear; the cost by cross-validation on the training images, where '
    "the papers' code takes a fixed one or the best on the test. On VOC07 "
    "difficult examples alone count as absent, as in PCL's code."
)


def frozen_tasks() -> list[Task]:
    """The evaluations, in the order of the table."""
    imagenet = partial(_recipe, name='pcl-100e_in1k')
    imagenet100 = partial(_recipe, name='pcl-100e_in100')
    places = partial(_recipe, name='pcl-40e_places205')
    tops = {'1': 'imagenet100 top-1', '5': 'imagenet100 top-5'}
    return [
        _knn('own-knn', OWN, 'own images', _own),
        _probe('own-linear', OWN, 'own images', _own),
        _svm('own-low-shot', OWN, 'own images', _own),
        _knn(
            'imagenet-knn', 'imagenet', 'ImageNet-1k', imagenet, 'imagenet kNN'
        ),
        _probe(
            'imagenet-linear',
            'imagenet',
            'ImageNet-1k',
            imagenet,
            {'1': 'imagenet top-1'},
        ),
        _probe(
            'imagenet100-linear',
            'imagenet100',
            'ImageNet-100',
            imagenet100,
            tops,
        ),
        _svm('voc07-low-shot', 'voc07', 'VOC07', _voc07, full=True),
        _svm('places205-low-shot', 'places205', 'Places205', places),
    ]


def _own(setup: Setup) -> FeatureOptions:
    return setup.options


def _recipe(setup: Setup, name: str) -> FeatureOptions:
    """With the data of one of configs/benchmarks/linear."""
    config = f'benchmarks/linear/resnet50_8xb32-linear-{name}.py'
    return setup.on(data_config=f'pauc_mm::{config}')


def _voc07(setup: Setup) -> FeatureOptions:
    folder = setup.data['voc07'].folder
    return setup.on(voc=folder, difficult='negative')


def _knn(
    name: str, data: str, title: str, where: Where, published: str = ''
) -> Task:
    row = f'{title}: kNN, top-1'

    def evaluate(setup: Setup) -> dict[str, Figure]:
        options, k = where(setup), NEIGHBOURS
        if data == OWN:  # the papers' have more, and take long to list
            _, train, _ = find_images(options)
            k = min(k, len(train))
        found = evaluate_knn(options, [k])['accuracies']
        return {row: Figure(100 * found[str(k)])}

    key = partial(_key, where=where, uses=())
    return Task(name, data, {row: published}, evaluate, key, KNN)


def _probe(
    name: str, data: str, title: str, where: Where, published=None
) -> Task:
    rows = {k: f'{title}: linear probe, top-{k}' for k in ('1', '5')}
    keys = {row: (published or {}).get(k, '') for k, row in rows.items()}

    def evaluate(setup: Setup) -> dict[str, Figure]:
        result = evaluate_linear_probe(where(setup), [setup.seed])
        top = result['runs'][0]['test']
        return {
            row: Figure(100 * top[k]) for k, row in rows.items() if k in top
        }

    key = partial(_key, where=where, uses=('seed',))
    return Task(name, data, keys, evaluate, key, PROBE)


def _svm(
    name: str, data: str, title: str, where: Where, full: bool = False
) -> Task:
    shots = [*SHOTS, *(['full'] if full else [])]
    metric = 'mAP' if data == 'voc07' else 'top-1'
    rows = {
        str(k): f'{title}: linear SVM, '
        + ('all images' if k == 'full' else f'k = {k}')
        + f', {metric}'
        for k in shots
    }
    published = {
        row: ''
        if data == OWN
        else f'{data} SVM ' + (k if k == 'full' else f'k={k}')
        for k, row in rows.items()
    }

    def evaluate(setup: Setup) -> dict[str, Figure]:
        options = where(setup)
        result = evaluate_low_shot(
            options,
            _possible(options, shots) if data == OWN else shots,
            draws=setup.draws,
            seed=setup.seed,
            jobs=setup.jobs,
        )
        return {
            rows[str(row['k'])]: Figure(
                100 * row['mean'],
                None if row['std'] is None else 100 * row['std'],
            )
            for row in result['rows']
        }

    key = partial(_key, where=where, uses=('seed', 'draws'))
    return Task(name, data, published, evaluate, key, SVM)


def _possible(options: FeatureOptions, shots: Sequence) -> list:
    """Numbers of images that every class has."""
    _, train, _ = find_images(options)
    targets = as_targets(train.labels, len(train.classes))
    smallest = int((torch.as_tensor(targets) == 1).sum(0).min())
    return [k for k in shots if k <= smallest]


def _key(setup: Setup, where: Where, uses: tuple[str, ...]) -> dict[str, Any]:
    """All that the figures depend on: network, images, settings."""
    options = where(setup)
    _, *images = find_images(options)
    return dict(
        version=__version__,
        network=setup.network(),
        options=plain_options(options),
        images=[_stamp(part) for part in images],
        **{name: getattr(setup, name) for name in uses},
    )


def _stamp(images: LabelledImages) -> str:
    """Changes if an image, a label or a class does."""
    facts = [images.paths, images.classes, images.labels.tolist()]
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update(file_stamp(images.paths).encode())
    return digest.hexdigest()
