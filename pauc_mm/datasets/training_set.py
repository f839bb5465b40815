# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the E-step needs to know of a training data set."""

import copy
import hashlib
from collections.abc import Callable

import numpy as np
from mmengine.dataset import BaseDataset, ClassBalancedDataset, RepeatDataset

_SAMPLES_COMPARED = 256


def base_dataset(dataset) -> BaseDataset:
    """The data set whose places ``sample_idx`` counts.

    Args:
        dataset: A training data set. Repeating and class-balancing wrappers
            keep the numbering of the data set inside and are taken off.

    Returns:
        BaseDataset: The data set inside.

    Raises:
        ValueError: For other wrappers; ConcatDataset, for one, numbers each
            of its parts from zero, so that two images would share a cluster.
    """
    while isinstance(dataset, (RepeatDataset, ClassBalancedDataset)):
        dataset = dataset.dataset
    if isinstance(dataset, BaseDataset):
        return dataset
    raise ValueError(
        f'train_dataloader.dataset is a {type(dataset).__name__}, in which '
        'sample_idx is not a unique place of an image (ConcatDataset numbers '
        'each of its parts from 0). Use one data set: put the images under '
        'one folder (symbolic links will do), or list them in one ann_file.'
    )


def with_pipeline(dataset, pipeline: Callable) -> BaseDataset:
    """The same samples under the same numbers, with other transforms.

    Args:
        dataset: The training data set.
        pipeline (Callable): The transforms to use instead.

    Returns:
        BaseDataset: A shallow copy, which shares the list of samples. A
        sample that cannot be loaded is an error in it, never replaced by
        another one.
    """
    twin = copy.copy(base_dataset(dataset))
    twin.pipeline = pipeline
    twin.test_mode = True
    return twin


def fingerprint(dataset) -> str:
    """A short text by which to recognise a training set.

    It covers the number of samples, and the names (file and folder, so that
    a moved data set is the same) or pixels of at most 256 of them.

    Args:
        dataset: The training data set.

    Returns:
        str: Hexadecimal digest.
    """
    base = base_dataset(dataset)
    digest = hashlib.sha1(str(len(base)).encode())
    places = np.linspace(0, len(base) - 1, _SAMPLES_COMPARED).astype(int)
    for place in np.unique(places):
        info = base.get_data_info(int(place))
        if 'img_path' in info:
            name = '/'.join(str(info['img_path']).split('/')[-2:])
            digest.update(name.encode())
        elif 'img' in info:
            digest.update(np.ascontiguousarray(info['img']).tobytes())
    return digest.hexdigest()
