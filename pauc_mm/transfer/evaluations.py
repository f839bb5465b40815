# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The three evaluations of frozen features, each from options to figures."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import numpy as np

from pauc_mm.evaluation.functional import knn_predict
from pauc_mm.utils.device import pick_device

from .features import FeatureOptions, embed, find_images
from .labelled_images import LabelledImages
from .linear_probe import LEARNING_RATES, check_grid, fit_linear_probe
from .linear_svm import COSTS
from .low_shot import SHOTS, check_options, low_shot_svm
from .low_shot_draw import as_targets, check_shots, needed_rows


def evaluate_linear_probe(
    options: FeatureOptions,
    seeds: Sequence[int] = (0,),
    learning_rates: Sequence[float] = LEARNING_RATES,
    weight_decays: Sequence[float] = (0.0,),
    held_out: float = 0.1,
    epochs: int | None = None,
    probe_batch_size: int = 256,
) -> dict:
    """Accuracy on the test images of a linear classifier.

    Args:
        options (FeatureOptions): The network and the images.
        seeds (sequence of int): One probe is trained for each.
        learning_rates (sequence of float): See :func:`fit_linear_probe`, as
            are the others.
        weight_decays (sequence of float): Defaults to 0 alone.
        held_out (float): Share of the training images. Defaults to 0.1.
        epochs (int, optional): By default 10, or 2,000 steps if more.
        probe_batch_size (int): Images a step. Defaults to 256.

    Returns:
        dict: ``train`` and ``test`` (str), ``num_classes``, ``epochs``,
        ``num_held_out``, ``mean`` and ``std`` of the test accuracies (None
        for one seed), and ``runs``: for each seed ``seed``,
        ``learning_rate``, ``weight_decay``, ``at_an_end``, ``test`` (by top
        k) and ``held_out``, a list of (learning rate, weight decay, accuracy
        or None where it diverged).
    """
    grid = [(lr, wd) for lr in learning_rates for wd in weight_decays]
    check_grid(grid, held_out, epochs, probe_batch_size)
    encoder, *images = find_images(options)
    _check_single_label(images[0], 'A linear probe')
    train, test = (embed(options, encoder, source) for source in images)
    runs = []
    for seed in seeds:
        probe = fit_linear_probe(
            train.features,
            train.labels,
            len(train.classes),
            learning_rates,
            weight_decays,
            held_out,
            epochs,
            probe_batch_size,
            seed=seed,
            device=pick_device(options.device),
        )
        top = probe.accuracies(test.features, test.labels)
        tried = zip(
            probe.learning_rates,
            probe.weight_decays,
            probe.held_out_accuracies,
        )
        run = dict(
            seed=seed,
            learning_rate=probe.learning_rate,
            weight_decay=probe.weight_decay,
            at_an_end=probe.at_an_end,
            test={str(k): value for k, value in top.items()},
            held_out=[
                [lr, wd, None if math.isnan(value) else value]
                for lr, wd, value in tried
            ],
        )
        runs.append(run)
    return dict(
        train=train.description,
        test=test.description,
        num_classes=len(train.classes),
        epochs=probe.epochs,
        num_held_out=probe.num_held_out,
        **_mean_and_std([run['test']['1'] for run in runs]),
        runs=runs,
    )


def evaluate_low_shot(
    options: FeatureOptions,
    shots: Sequence[int | str] = SHOTS,
    costs: Sequence[float] = COSTS,
    draws: int = 5,
    seed: int = 0,
    ap: str = 'area',
    jobs: int = 1,
) -> dict:
    """Linear SVMs on k images of each class, see :func:`low_shot_svm`.

    Args:
        options (FeatureOptions): The network and the images.
        shots (sequence of int or 'full'): Values of k.
        costs (sequence of float): To choose from.
        draws (int): Draws for each k. Defaults to 5.
        seed (int): Of the draws. Defaults to 0.
        ap (str): 'area' or '11-point'. Defaults to 'area'.
        jobs (int): Processes. Defaults to 1.

    Returns:
        dict: ``train``, ``test``, ``num_classes``, ``embedded``, the number
        of training images that were, and what :func:`low_shot_svm` gives.
    """
    check_options(shots, costs, draws, ap, jobs)
    encoder, train, test = find_images(options)
    targets = as_targets(train.labels, len(train.classes))
    check_shots(targets, train.classes, shots)
    rows = needed_rows(targets, shots, draws, seed)
    drawn = train if len(rows) == len(train) else train.subset(rows)
    features = embed(options, encoder, drawn)
    queries = embed(options, encoder, test)
    result = low_shot_svm(
        features.features,
        train.labels,
        queries.features,
        test.labels,
        train.classes,
        shots,
        costs,
        draws,
        seed,
        ap,
        jobs,
        rows,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    return dict(
        train=train.description,
        test=test.description,
        num_classes=len(train.classes),
        embedded=len(drawn),
        **result,
    )


def evaluate_knn(
    options: FeatureOptions,
    k: Sequence[int] = (20, 200),
    temperature: float = 0.1,
) -> dict:
    """Accuracy of the weighted vote of the nearest training images.

    Args:
        options (FeatureOptions): The network and the images.
        k (sequence of int): Numbers of neighbours.
        temperature (float): See
            :func:`pauc_mm.evaluation.functional.knn_predict`.

    Returns:
        dict: ``train``, ``test``, ``num_classes``, ``temperature`` and
        ``accuracies`` by k.
    """
    if not temperature > 0:
        raise ValueError(f'--temperature must be > 0, not {temperature}.')
    encoder, *images = find_images(options)
    _check_single_label(images[0], 'kNN')
    if not k or min(k) < 1 or max(k) > len(images[0]):
        raise ValueError(
            f'--k {" ".join(map(str, k))} must lie between 1 and the '
            f'{len(images[0])} training images ({images[0].description}).'
        )
    train, test = (embed(options, encoder, source) for source in images)
    predictions = knn_predict(
        test.features,
        train.features,
        train.labels,
        len(train.classes),
        list(k),
        temperature,
    )
    right = {
        str(number): (found == test.labels).double().mean().item()
        for number, found in predictions.items()
    }
    return dict(
        train=train.description,
        test=test.description,
        num_classes=len(train.classes),
        temperature=temperature,
        accuracies=right,
    )


def _check_single_label(images: LabelledImages, what: str) -> None:
    if images.labels.dim() > 1:
        raise ValueError(
            f'{what} needs images of one class each, and those of '
            f'{images.description} may have several: evaluate_low_shot '
            '(low_shot_svm.py) is for them.'
        )


def _mean_and_std(values: list[float]) -> dict:
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return dict(mean=float(np.mean(values)), std=std)
