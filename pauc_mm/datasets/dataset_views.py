# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Views of a data set: without wrappers, with other transforms, in part."""

import copy
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset, ClassBalancedDataset, RepeatDataset

_SAMPLES_COMPARED = 256


def base_dataset(dataset) -> BaseDataset:
    """Return the data set whose images ``sample_idx`` counts.

    Wrappers that repeat or balance classes keep the numbering of the data set
    inside and are removed.

    Raises:
        ValueError: For other wrappers, such as ConcatDataset, which numbers
            each of its parts from zero, so that two images would share a
            cluster.
    """
    while isinstance(dataset, (RepeatDataset, ClassBalancedDataset)):
        dataset = dataset.dataset
    if isinstance(dataset, BaseDataset):
        return dataset
    raise ValueError(
        f'train_dataloader.dataset is a {type(dataset).__name__}, in which '
        'sample_idx is not a unique index of an image (ConcatDataset numbers '
        'each of its parts from 0). Use one data set: put the images under '
        'one folder (symbolic links will do), or list them in one ann_file.'
    )


def with_pipeline(dataset, pipeline: Callable) -> BaseDataset:
    """Return the same samples under the same numbers with other transforms.

    The shallow copy shares the list of samples. It raises for a sample that
    cannot be loaded, instead of returning another one.
    """
    view = copy.copy(base_dataset(dataset))
    view.pipeline = pipeline
    view.test_mode = True
    return view


def subset(dataset: BaseDataset, rows: Sequence[int]) -> BaseDataset:
    """Return a subset without modifying the data set.

    Replaces ``BaseDataset.get_subset``, whose calls share one memo of
    ``copy.deepcopy`` by address. In a long process an address is reused, and a
    transform of the copy is then some other object (mmengine 0.10.7:
    ``TypeError: ... object is not callable``). The subset has the images of
    the rows in their order, and shares the transforms.
    """
    view = copy.copy(dataset)
    view.get_subset_([int(row) for row in rows])
    return view


def fingerprint(dataset, contents: bool = False) -> str:
    """Return a digest by which to recognise a training set.

    It covers the number of samples, and the names (file and folder, so that
    a moved data set is the same) or pixels of at most 256 of them, whose
    ``contents`` may be read too.

    Raises:
        ValueError: See :func:`base_dataset`.
    """
    base = base_dataset(dataset)
    digest = hashlib.sha1(str(len(base)).encode())
    rows = np.linspace(0, len(base) - 1, _SAMPLES_COMPARED).astype(int)
    for row in np.unique(rows):
        info = base.get_data_info(int(row))
        if 'img_path' in info:
            name = '/'.join(str(info['img_path']).split('/')[-2:])
            digest.update(name.encode(errors='surrogateescape'))  # any bytes
            if contents and Path(info['img_path']).is_file():
                digest.update(Path(info['img_path']).read_bytes())
        elif 'img' in info:
            digest.update(np.ascontiguousarray(info['img']).tobytes())
    return digest.hexdigest()
