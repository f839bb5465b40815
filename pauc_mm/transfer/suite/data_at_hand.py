# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Which of the papers' data sets are there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SPLITS = ('train', 'val')
VOC = ('ImageSets/Main', 'JPEGImages', 'Annotations')
LAYOUTS = {
    'imagenet': ('imagenet', SPLITS),
    'imagenet100': ('imagenet', SPLITS),
    'imagenet 1%': ('imagenet', (*SPLITS, 'meta/semi_1percent.txt')),
    'imagenet 10%': ('imagenet', (*SPLITS, 'meta/semi_10percent.txt')),
    'places205': (
        'places205',
        (
            'data/vision/torralba/deeplearning/images256',
            'trainvalsplit_places205/train_places205.csv',
            'trainvalsplit_places205/val_places205.csv',
        ),
    ),
    'voc07': ('VOCdevkit', ('VOC2007/ImageSets/Main', 'VOC2007/JPEGImages')),
    'voc07 boxes': (
        'VOCdevkit',
        tuple(f'VOC2007/{part}' for part in VOC),
    ),
    'voc0712 boxes': (
        'VOCdevkit',
        tuple(f'VOC{year}/{part}' for year in (2007, 2012) for part in VOC),
    ),
    'coco': (
        'coco',
        (
            'annotations/instances_train2017.json',
            'annotations/instances_val2017.json',
            'train2017',
            'val2017',
        ),
    ),
}
"""Folder below the root, and what must be in it, by data set."""


ROOTS = {
    'imagenet': 'IMAGENET_ROOT',
    'places205': 'PLACES_ROOT',
    'VOCdevkit': 'VOC_ROOT',
    'coco': 'COCO_ROOT',
}
"""Environment variables that ``configs/benchmarks`` read, by folder."""


@dataclass(frozen=True)
class FoundData:
    """Where a data set is, or why it is not.

    Attributes:
        folder (str): Such as ``data/imagenet``.
        missing (tuple[str, ...]): What is not there.
    """

    folder: str
    missing: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.missing


def find_data(root: str | None = None) -> dict[str, FoundData]:
    """Look for the data sets of :data:`LAYOUTS`.

    Args:
        root (str, optional): Folder that holds ``imagenet``, ``places205``,
            ``VOCdevkit`` and ``coco``, or some of them. Defaults to None:
            where the variables of :data:`ROOTS` say, else in ``data``.

    Returns:
        dict[str, FoundData]: By name of the data set.

    Raises:
        ValueError: If the root is named and is no folder.
    """
    if root is not None and not Path(root).expanduser().is_dir():
        raise ValueError(
            f"--data-root '{root}' is not a folder; it must be the one that "
            'holds imagenet, places205, VOCdevkit and coco, or some of them.'
        )
    found = {}
    for name, (folder, parts) in LAYOUTS.items():
        base = Path(root or 'data').expanduser() / folder
        if root is None:
            base = Path(os.environ.get(ROOTS[folder]) or base)
        missing = [str(base / p) for p in parts if not (base / p).exists()]
        found[name] = FoundData(str(base), tuple(missing))
    return found


@contextmanager
def roots_in_environment(data: dict[str, FoundData]) -> Iterator[None]:
    """Make our configs read this data, in this process and those it starts.

    Args:
        data (dict[str, FoundData]): Of :func:`find_data`.
    """
    before = {name: os.environ.get(name) for name in ROOTS.values()}
    for name, (folder, _) in LAYOUTS.items():
        os.environ[ROOTS[folder]] = os.path.abspath(data[name].folder)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
