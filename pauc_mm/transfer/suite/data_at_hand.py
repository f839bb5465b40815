# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Which of the papers' data sets are there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

SPLITS = ('train', 'val')
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
    'voc0712': (
        'VOCdevkit',
        (
            'VOC2007/ImageSets/Main',
            'VOC2007/JPEGImages',
            'VOC2012/ImageSets/Main',
            'VOC2012/JPEGImages',
        ),
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
    'IMAGENET_ROOT': 'imagenet',
    'PLACES_ROOT': 'places205',
    'VOC_ROOT': 'voc07',
    'COCO_ROOT': 'coco',
}
"""Environment variables of ``configs/benchmarks``, by data set."""


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


def find_data(root: str) -> dict[str, FoundData]:
    """Look for the data sets of :data:`LAYOUTS`.

    Args:
        root (str): Folder that holds ``imagenet``, ``places205``,
            ``VOCdevkit`` and ``coco``, or some of them.

    Returns:
        dict[str, FoundData]: By name of the data set.

    Raises:
        NotADirectoryError: If the root is a file.
    """
    base = Path(root).expanduser()
    if base.exists() and not base.is_dir():
        raise NotADirectoryError(
            f"--data-root '{root}' is a file; it must be the folder that "
            'holds imagenet, places205, VOCdevkit and coco, or some of them.'
        )
    found = {}
    for name, (folder, parts) in LAYOUTS.items():
        missing = [p for p in parts if not (base / folder / p).exists()]
        found[name] = FoundData(
            str(base / folder), tuple(str(base / folder / p) for p in missing)
        )
    return found


def roots(data: dict[str, FoundData]) -> dict[str, str]:
    """Values of :data:`ROOTS` that make our configs read this data.

    Args:
        data (dict[str, FoundData]): Of :func:`find_data`.

    Returns:
        dict[str, str]: Absolute folders by environment variable.
    """
    return {
        name: os.path.abspath(data[key].folder) for name, key in ROOTS.items()
    }
