# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Evaluations of frozen, cached features: no network is trained."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from pauc_mm.embedding.images import ImageSource
from pauc_mm.embedding.preprocessing import describe_input
from pauc_mm.transfer.evaluations import (
    evaluate_knn,
    evaluate_linear_probe,
    evaluate_low_shot,
)
from pauc_mm.transfer.features import FeatureOptions, find_images
from pauc_mm.transfer.low_shot import LowShotOptions
from pauc_mm.transfer.low_shot_draw import as_targets
from pauc_mm.version import __version__

from .published import SHOTS
from .task import OWN, Score, Setup, Task

SPEED = ('batch_size', 'workers', 'device', 'cache')
"""Options that change the speed of an evaluation, not its result."""

TITLES = {
    OWN: 'own images',
    'imagenet': 'ImageNet-1k',
    'imagenet100': 'ImageNet-100',
    'voc07': 'VOC07',
    'places205': 'Places205',
}
# Ends of the configs of configs/benchmarks/linear whose data are used.
CONFIGS = {
    'imagenet': '100e_in1k',
    'imagenet100': '100e_in100',
    'places205': '40e_places205',
}
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
    top1 = {'1': 'imagenet top-1'}
    top5 = {'1': 'imagenet100 top-1', '5': 'imagenet100 top-5'}
    return [
        _knn(OWN),
        _probe(OWN),
        _svm(OWN, SHOTS),
        _knn('imagenet', 'imagenet kNN'),
        _probe('imagenet', top1),
        _probe('imagenet100', top5),
        _svm('voc07', (*SHOTS, 'full')),
        _svm('places205', SHOTS),
    ]


def _options(setup: Setup, data: str) -> FeatureOptions:
    """Return the network with the images of a data set."""
    if data == OWN:
        return setup.options
    if data == 'voc07':
        folder = setup.data[data].folder
        return setup.on(voc=folder, difficult='negative')
    recipe = f'benchmarks/linear/resnet50_8xb32-linear-pcl-{CONFIGS[data]}'
    return setup.on(data_config=f'pauc_mm::{recipe}.py')


def _knn(data: str, published: str = '') -> Task:
    row = f'{TITLES[data]}: kNN, top-1'

    def evaluate(setup: Setup) -> dict[str, Score]:
        options, k = _options(setup, data), NEIGHBOURS
        if data == OWN:  # only own images may be fewer
            _, train, _ = find_images(options)
            k = min(k, len(train))
        accuracies = evaluate_knn(options, [k])['accuracies']
        return {row: Score(100 * accuracies[str(k)])}

    key = partial(_key, data=data, uses=())
    return Task(f'{data}-knn', data, {row: published}, evaluate, key, KNN)


def _probe(data: str, published: Mapping[str, str] = {}) -> Task:
    rows = {k: f'{TITLES[data]}: linear probe, top-{k}' for k in ('1', '5')}
    keys = {row: published.get(k, '') for k, row in rows.items()}

    def evaluate(setup: Setup) -> dict[str, Score]:
        options = _options(setup, data)
        result = evaluate_linear_probe(options, [setup.seed])
        top = result['runs'][0]['test']
        return {rows[k]: Score(100 * top[k]) for k in rows if k in top}

    key = partial(_key, data=data, uses=('seed',))
    return Task(f'{data}-linear', data, keys, evaluate, key, PROBE)


def _svm(data: str, shots: Sequence) -> Task:
    metric = 'mAP' if data == 'voc07' else 'top-1'
    rows, published = {}, {}
    for k in shots:
        images = 'all images' if k == 'full' else f'k = {k}'
        rows[k] = f'{TITLES[data]}: linear SVM, {images}, {metric}'
        suffix = k if k == 'full' else f'k={k}'
        published[rows[k]] = '' if data == OWN else f'{data} SVM {suffix}'

    def evaluate(setup: Setup) -> dict[str, Score]:
        options, possible = _options(setup, data), shots
        if data == OWN:  # the values of k for which every class has images
            _, train, _ = find_images(options)
            targets = as_targets(train.labels, len(train.classes))
            smallest = (targets == 1).sum(0).min()
            possible = [k for k in shots if k <= smallest]
        low_shot = LowShotOptions(
            possible, draws=setup.draws, seed=setup.seed, jobs=setup.jobs
        )
        scores = {}
        for row in evaluate_low_shot(options, low_shot)['rows']:
            std = None if row['std'] is None else 100 * row['std']
            scores[rows[row['k']]] = Score(100 * row['mean'], std)
        return scores

    key = partial(_key, data=data, uses=('seed', 'draws'))
    return Task(f'{data}-low-shot', data, published, evaluate, key, SVM)


def _key(setup: Setup, data: str, uses: tuple[str, ...]) -> dict[str, Any]:
    """Return all that scores depend on: network, images, settings."""
    options = _options(setup, data)
    encoder, *images = find_images(options)
    return dict(
        version=__version__,
        network=setup.network(),
        options={k: v for k, v in asdict(options).items() if k not in SPEED},
        input=describe_input(encoder, images[1]),
        images=[_stamp(part) for part in images],
        **{name: getattr(setup, name) for name in uses},
    )


def _stamp(images: ImageSource) -> str:
    """Digest images, labels and classes, and sizes and times of the files."""
    facts = [images.paths, images.classes, images.labels.tolist()]
    stats = map(os.stat, filter(None, images.paths))
    lines = [f'{stat.st_size} {stat.st_mtime_ns}\n' for stat in stats]
    files = hashlib.sha256(''.join(lines).encode()).hexdigest()
    return hashlib.sha256((json.dumps(facts) + files).encode()).hexdigest()
