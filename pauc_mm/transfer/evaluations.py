# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Evaluate frozen features: linear probe, low-shot SVMs, kNN."""

import math
import sys
from collections.abc import Sequence
from dataclasses import replace

from pauc_mm.checkpoints import Encoder
from pauc_mm.embedding.embedded_images import note_copies
from pauc_mm.embedding.images import ImageSource
from pauc_mm.embedding.preprocessing import describe_input
from pauc_mm.evaluation.functional import knn_predict
from pauc_mm.utils.checks import check_positive
from pauc_mm.utils.device import pick_device
from pauc_mm.utils.tables import mean_and_deviation

from .features import FeatureOptions, LabelledFeatures, embed, find_images
from .linear_probe import fit_linear_probe
from .low_shot import LowShotOptions, low_shot_svm
from .low_shot_draw import as_targets, check_shots, needed_rows
from .probe_training import ProbeOptions


def evaluate_linear_probe(
    options: FeatureOptions,
    seeds: Sequence[int] = (0,),
    probe_options: ProbeOptions | None = None,
) -> dict:
    """Measure the test accuracy of linear probes, one for each seed.

    Returns:
        dict: ``layout`` and ``notes`` of the encoder, ``input``
        (:func:`~pauc_mm.embedding.preprocessing.describe_input`), ``train``
        and ``test`` (str), ``num_classes``, ``epochs``,
        ``num_held_out``, ``mean`` and ``std`` of the test accuracies (None
        for one seed), and ``runs``: for each seed ``seed``,
        ``learning_rate``, ``weight_decay``, ``at_an_end``, ``test`` (by top
        k) and ``held_out``, a list of (learning rate, weight decay, accuracy
        or None where it diverged).
    """
    probe_options = probe_options or ProbeOptions()
    encoder, *images = find_images(options)
    _check_single_label(images[0], 'A linear probe')
    train, test = (embed(options, encoder, source) for source in images)
    described = _described(encoder, *images, train, test)
    runs = []
    for seed in seeds:
        selection = fit_linear_probe(
            train.features,
            train.labels,
            replace(probe_options, seed=seed),
            len(train.classes),
            pick_device(options.device),
        )
        top = selection.probe.accuracies(test.features, test.labels)
        rate, decay = selection.grid[selection.best]
        values = selection.held_out_accuracies
        run = dict(
            seed=seed,
            learning_rate=rate,
            weight_decay=decay,
            at_an_end=selection.at_an_end,
            test={str(k): value for k, value in top.items()},
            held_out=[
                [*pair, None if math.isnan(value) else value]
                for pair, value in zip(selection.grid, values)
            ],
        )
        runs.append(run)
    summary = mean_and_deviation([run['test']['1'] for run in runs])
    return dict(
        described,
        epochs=selection.epochs,
        num_held_out=selection.num_held_out,
        mean=summary.mean,
        std=summary.spread,
        runs=runs,
    )


def evaluate_low_shot(
    options: FeatureOptions, low_shot: LowShotOptions | None = None
) -> dict:
    """Measure linear SVMs on k images a class, see :func:`low_shot_svm`.

    Returns:
        dict: ``layout``, ``notes``, ``input``, ``train``, ``test``,
        ``num_classes``, ``embedded`` (number of
        embedded training images), and the result of :func:`low_shot_svm`.
    """
    low_shot = low_shot or LowShotOptions()
    encoder, train, test = find_images(options)
    targets = as_targets(train.labels, len(train.classes))
    check_shots(targets, train.classes, low_shot.shots)
    rows = needed_rows(targets, low_shot.shots, low_shot.draws, low_shot.seed)
    drawn = train if len(rows) == len(train) else train.select(rows)
    bank, queries = (embed(options, encoder, s) for s in (drawn, test))
    described = _described(encoder, train, test, bank, queries)
    result = low_shot_svm(
        bank.features,
        train.labels,
        queries.features,
        test.labels,
        train.classes,
        low_shot,
        rows,
        log=lambda line: print(line, file=sys.stderr, flush=True),
    )
    return dict(described, embedded=len(drawn), **result)


def evaluate_knn(
    options: FeatureOptions,
    k: Sequence[int] = (20, 200),
    temperature: float = 0.1,
) -> dict:
    """Measure the accuracy of the weighted vote of k nearest neighbours.

    See :func:`pauc_mm.evaluation.functional.knn_predict`.

    Returns:
        dict: ``layout``, ``notes``, ``input``, ``train``, ``test``,
        ``num_classes``, ``temperature`` and ``accuracies`` by k.
    """
    check_positive('--temperature', temperature)
    encoder, *images = find_images(options)
    _check_single_label(images[0], 'kNN')
    if not k or min(k) < 1 or max(k) > len(images[0]):
        raise ValueError(
            f'--k must lie between 1 and the {len(images[0])} training images '
            f'({images[0].description}), got {" ".join(map(str, k))}.'
        )
    train, test = (embed(options, encoder, source) for source in images)
    described = _described(encoder, *images, train, test)
    bank = train.features, train.labels, len(train.classes)
    predictions = knn_predict(test.features, *bank, list(k), temperature)
    accuracies = {
        str(number): (predicted == test.labels).double().mean().item()
        for number, predicted in predictions.items()
    }
    return dict(described, temperature=temperature, accuracies=accuracies)


def _described(
    encoder: Encoder,
    train: ImageSource,
    test: ImageSource,
    bank: LabelledFeatures,
    queries: LabelledFeatures,
) -> dict:
    """Return the facts that every result begins with."""
    return dict(
        layout=encoder.layout,
        notes=[*encoder.notes, *note_copies(queries.images, bank.images)],
        input=describe_input(encoder, test),
        train=train.description,
        test=test.description,
        num_classes=len(train.classes),
    )


def _check_single_label(images: ImageSource, user: str) -> None:
    if images.labels.dim() > 1:
        raise ValueError(
            f'{user} needs one class an image, got several in '
            f'{images.description}. Use evaluate_low_shot (low_shot_svm.py).'
        )
