# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import DATASETS


def training_counts(runner: Runner) -> np.ndarray:
    """Count the images of each class in the training set of a run.

    A test builds the training set from the config.

    Args:
        runner (Runner): With a ``train_dataloader``.

    Returns:
        ndarray: Number of images by label, int64, shape (C,).

    Raises:
        ValueError: If there is no training set, or it has no labels.
    """
    loader = runner._train_dataloader
    if isinstance(runner._train_loop, BaseLoop):
        loader = runner._train_loop.dataloader
    if loader is None:
        raise ValueError(
            'there is no training set to count. Set train_dataloader, or '
            'name the classes of each group.'
        )
    dataset = loader['dataset'] if isinstance(loader, dict) else loader.dataset
    if isinstance(dataset, dict):
        dataset = DATASETS.build(dataset)
    try:
        labels = dataset.get_gt_labels()
    except (AttributeError, KeyError) as error:
        raise ValueError(
            f'the training set, a {type(dataset).__name__}, has no labels. '
            'Name the classes of each group.'
        ) from error
    # Classes without a single image count, too.
    classes = getattr(dataset, 'metainfo', {}).get('classes') or ()
    return np.bincount(labels, minlength=len(classes))
