# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import DATASETS


def training_counts(runner: Runner) -> np.ndarray:
    """Count the images of each class in the training set of a run.

    While a model is trained its data set is there; for a test it is built
    from the config.

    Args:
        runner (Runner): With a ``train_dataloader``.

    Returns:
        ndarray: Number of images by label, int64, shape (C,).

    Raises:
        ValueError: If there is no training set, or it has no labels.
    """
    source = runner._train_dataloader
    if isinstance(runner._train_loop, BaseLoop):
        source = runner._train_loop.dataloader
    if source is None:
        raise ValueError(
            "KNNAccuracy.class_groups='train' counts the labels of the "
            'training set, and there is none: set train_dataloader, or name '
            'the classes of each group.'
        )
    if isinstance(source, dict):
        dataset = source['dataset']
    else:
        dataset = source.dataset
    if isinstance(dataset, dict):
        dataset = DATASETS.build(dataset)
    try:
        labels = dataset.get_gt_labels()
    except (AttributeError, KeyError) as error:
        raise ValueError(
            "KNNAccuracy.class_groups='train' counts the labels of the "
            f'training set, and {type(dataset).__name__} has none: name the '
            'classes of each group instead.'
        ) from error
    # Classes without a single image count, too.
    classes = getattr(dataset, 'metainfo', {}).get('classes') or ()
    return np.bincount(labels, minlength=len(classes))
