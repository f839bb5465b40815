# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Evaluations of frozen, cached features: no network is trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pauc_mm.embedding.images import ImageSource
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
from pauc_mm.transfer.low_shot import LowShotOptions
from pauc_mm.transfer.low_shot_draw import as_targets
from pauc_mm.version import __version__

from .published import SHOTS
from .task import OWN, Score, Setup, Task, plain_options

Where = Callable[[Setup], FeatureOptions]

NEIGHBOURS = 20
KNN = (
    f"{NEIGHBOURS} neighbours, temperature 0.1, the backbone's features. PCL "
    'uses as many neighbours of its momentum features.'
)
PROBE = (
    'One centre crop an image, learning rate chosen on a tenth of the '
    'training images. The papers train with random crops for 100 epochs.'
)
SVM = (
    'liblinear; the cost by cross-validation on the training images, where '
    "the papers' code takes a fixed one or the best on the test. On VOC07 "
    "classes with difficult examples only count as absent, as in PCL's code."
)


def frozen_tasks() -> list[Task]:
    """Return the evaluations, in the order of the table."""
    imagenet = partial(_recipe, name='pcl-100e_in1k')
    imagenet100 = partial(_recipe, name='pcl-100e_in100')
    places = partial(_recipe, name='pcl-40e_places205')
    names = {
        OWN: 'own images',
        'imagenet': 'ImageNet-1k',
        'imagenet100': 'ImageNet-100',
        'voc07': 'VOC07',
        'places205': 'Places205',
    }

    def task(make, kind: str, data: str, where: Where, *args) -> Task:
        return make(f'{data}-{kind}', data, names[data], where, *args)

    top1 = {'1': 'imagenet top-1'}
    top5 = {'1': 'imagenet100 top-1', '5': 'imagenet100 top-5'}
    return [
        task(_knn, 'knn', OWN, _own),
        task(_probe, 'linear', OWN, _own),
        task(_svm, 'low-shot', OWN, _own, SHOTS),
        task(_knn, 'knn', 'imagenet', imagenet, 'imagenet kNN'),
        task(_probe, 'linear', 'imagenet', imagenet, top1),
        task(_probe, 'linear', 'imagenet100', imagenet100, top5),
        task(_svm, 'low-shot', 'voc07', _voc07, (*SHOTS, 'full')),
        task(_svm, 'low-shot', 'places205', places, SHOTS),
    ]


def _own(setup: Setup) -> FeatureOptions:
    return setup.options


def _recipe(setup: Setup, name: str) -> FeatureOptions:
    """Use the data of a config of configs/benchmarks/linear."""
    config = f'benchmarks/linear/resnet50_8xb32-linear-{name}.py'
    return setup.on(data_config=f'pauc_mm::{config}')


def _voc07(setup: Setup) -> FeatureOptions:
    folder = setup.data['voc07'].folder
    return setup.on(voc=folder, difficult='negative')


def _knn(
    name: str, data: str, title: str, where: Where, published: str = ''
) -> Task:
    row = f'{title}: kNN, top-1'

    def evaluate(setup: Setup) -> dict[str, Score]:
        options, k = where(setup), NEIGHBOURS
        if data == OWN:  # only own images may be fewer
            _, train, _ = find_images(options)
            k = min(k, len(train))
        accuracies = evaluate_knn(options, [k])['accuracies']
        return {row: Score(100 * accuracies[str(k)])}

    key = partial(_key, where=where, uses=())
    return Task(name, data, {row: published}, evaluate, key, KNN)


def _probe(
    name: str,
    data: str,
    title: str,
    where: Where,
    published: Mapping[str, str] | None = None,
) -> Task:
    rows = {k: f'{title}: linear probe, top-{k}' for k in ('1', '5')}
    keys = {row: (published or {}).get(k, '') for k, row in rows.items()}

    def evaluate(setup: Setup) -> dict[str, Score]:
        result = evaluate_linear_probe(where(setup), [setup.seed])
        top = result['runs'][0]['test']
        return {rows[k]: Score(100 * top[k]) for k in rows if k in top}

    key = partial(_key, where=where, uses=('seed',))
    return Task(name, data, keys, evaluate, key, PROBE)


def _svm(
    name: str, data: str, title: str, where: Where, shots: Sequence
) -> Task:
    metric = 'mAP' if data == 'voc07' else 'top-1'
    rows, published = {}, {}
    for k in shots:
        images = 'all images' if k == 'full' else f'k = {k}'
        rows[k] = f'{title}: linear SVM, {images}, {metric}'
        suffix = k if k == 'full' else f'k={k}'
        published[rows[k]] = '' if data == OWN else f'{data} SVM {suffix}'

    def evaluate(setup: Setup) -> dict[str, Score]:
        options = where(setup)
        possible = _possible(options, shots) if data == OWN else shots
        low_shot = LowShotOptions(
            possible, draws=setup.draws, seed=setup.seed, jobs=setup.jobs
        )
        scores = {}
        for row in evaluate_low_shot(options, low_shot)['rows']:
            std = None if row['std'] is None else 100 * row['std']
            scores[rows[row['k']]] = Score(100 * row['mean'], std)
        return scores

    key = partial(_key, where=where, uses=('seed', 'draws'))
    return Task(name, data, published, evaluate, key, SVM)


def _possible(options: FeatureOptions, shots: Sequence) -> list:
    """Return the values of k for which every class has images."""
    _, train, _ = find_images(options)
    targets = as_targets(train.labels, len(train.classes))
    smallest = int((targets == 1).sum(0).min())
    return [k for k in shots if k <= smallest]


def _key(setup: Setup, where: Where, uses: tuple[str, ...]) -> dict[str, Any]:
    """Return all that scores depend on: network, images, settings."""
    options = where(setup)
    _, *images = find_images(options)
    return dict(
        version=__version__,
        network=setup.network(),
        options=plain_options(options),
        images=[_stamp(part) for part in images],
        **{name: getattr(setup, name) for name in uses},
    )


def _stamp(images: ImageSource) -> str:
    """Digest images, labels and classes."""
    facts = [images.paths, images.classes, images.labels.tolist()]
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update(file_stamp(images.paths).encode())
    return digest.hexdigest()
