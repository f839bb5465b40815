# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Locations of the papers' data, and checks that a config's data exists."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pauc_mm.utils.checks import listed

SPLITS = ('train', 'val')
VOC = ('ImageSets/Main', 'JPEGImages', 'Annotations')
PLACES = 'trainvalsplit_places205'
IMAGES205 = 'data/vision/torralba/deeplearning/images256'
LAYOUTS = {
    'imagenet': ('imagenet', SPLITS),
    'imagenet100': ('imagenet', SPLITS),
    'imagenet 1%': ('imagenet', (*SPLITS, 'meta/semi_1percent.txt')),
    'imagenet 10%': ('imagenet', (*SPLITS, 'meta/semi_10percent.txt')),
    'places205': (
        'places205',
        (IMAGES205, *(f'{PLACES}/{s}_places205.csv' for s in SPLITS)),
    ),
    'voc07': ('VOCdevkit', tuple(f'VOC2007/{part}' for part in VOC[:2])),
    'voc07 boxes': ('VOCdevkit', tuple(f'VOC2007/{part}' for part in VOC)),
    'voc0712 boxes': (
        'VOCdevkit',
        tuple(f'VOC{year}/{part}' for year in (2007, 2012) for part in VOC),
    ),
    'coco': (
        'coco',
        tuple(
            path
            for s in SPLITS
            for path in (f'annotations/instances_{s}2017.json', f'{s}2017')
        ),
    ),
}
"""Folder below the root, and what it must contain, by data set."""

ROOTS = {
    'imagenet': 'IMAGENET_ROOT',
    'places205': 'PLACES_ROOT',
    'VOCdevkit': 'VOC_ROOT',
    'coco': 'COCO_ROOT',
}
"""Environment variables that ``configs/benchmarks`` read, by folder."""


@dataclass(frozen=True)
class FoundData:
    """Location of a data set; false if parts of it are missing."""

    folder: str
    missing: tuple[str, ...] = ()  # paths that do not exist

    def __bool__(self) -> bool:
        return not self.missing


def find_data(root: str | None = None) -> dict[str, FoundData]:
    """Look for the data sets of :data:`LAYOUTS`, and return them by name.

    The root holds ``imagenet``, ``places205``, ``VOCdevkit`` and ``coco``, or
    some of them. By default these are the folders in the variables of
    :data:`ROOTS`, else below ``data``.

    Raises:
        ValueError: The root is given and is not a folder.
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
    """Make our configs read this data, in this process and its children."""
    before = {k: v for k, v in os.environ.items() if k in ROOTS.values()}
    for name, (folder, _) in LAYOUTS.items():
        os.environ[ROOTS[folder]] = os.path.abspath(data[name].folder)
    try:
        yield
    finally:
        for name in ROOTS.values():
            os.environ.pop(name, None)
        os.environ.update(before)


def check_config_data(cfg: dict) -> None:
    """Call :func:`check_layout` for the data of all loops of a config."""
    for loop in ('train', 'val', 'test'):
        loader = cfg.get(f'{loop}_dataloader') or {}
        check_layout(f'{loop}_dataloader.dataset', loader.get('dataset'))


def check_layout(key: str, dataset: Any) -> None:
    """Look for the folders and lists of a data set before it is built.

    mmpretrain's own messages lack the key and the expected layout. Checked are
    ``data_root``, ``ann_file``, the folder of ``data_prefix``, the split's
    folder of ImageNet, and the three folders of VOC; of a data set around
    others those of each. ``key`` is its config key, for the message.

    Raises:
        FileNotFoundError: Naming what is missing, expected and found.
    """
    if not isinstance(dataset, dict):
        return
    for i, part in enumerate(dataset.get('datasets') or ()):
        check_layout(f'{key}.datasets.{i}', part)
    check_layout(f'{key}.dataset', dataset.get('dataset'))
    root = os.path.expanduser(dataset.get('data_root') or '')
    if '://' in root:
        return
    if root and not os.path.isdir(root):
        raise FileNotFoundError(
            f"{key}.data_root: '{root}' is not a folder (current folder: "
            f'{os.getcwd()}). Set this key, or the environment variable that '
            'the config reads it from: DATA_ROOT in pauc_r18_folder.py, '
            f'{", ".join(ROOTS.values())}, and DIGIT_SCENES_ROOT for the '
            'output of experiments/make_digit_scenes.py of a checkout.'
        )
    expected = list(_expected_paths(dataset, root))
    for name, path, is_folder in expected:
        exists = os.path.isdir if is_folder else os.path.isfile
        if '://' in path or exists(path):
            continue
        wanted = ', '.join(p + os.sep * folder for _, p, folder in expected)
        kind, hint = _kind(dataset), ''
        if name == 'ann_file' and kind in ('ImageNet', 'CustomDataset'):
            hint = (
                ' tools/data/draw_subset.py writes a list of some images, '
                "with lines 'path label'."
            )
        raise FileNotFoundError(
            f'{key}.{name}: there is no {"folder" if is_folder else "file"} '
            f"'{path}' (current folder: {os.getcwd()}). {kind} "
            f'expects {wanted}. {_nearest_content(path)}{hint}'
        )


def _kind(dataset: dict) -> str:
    return str(dataset.get('type')).rpartition('.')[2]


def _expected_paths(
    dataset: dict, root: str
) -> Iterator[tuple[str, str, bool]]:
    """Yield (key, path, is a folder) of all that must exist below a root."""
    kind = _kind(dataset)
    split = dataset.get('split') or ''
    prefix = dataset.get('data_prefix') or {}
    if isinstance(prefix, str):
        prefix = dict(img_path=prefix)
    if kind == 'VOC':
        lists = dataset.get('image_set_path') or f'{VOC[0]}/{split}.txt'
        yield 'split', os.path.join(root, lists), False
        images = prefix.get('img_path', 'JPEGImages')
        yield 'data_prefix.img_path', os.path.join(root, images), True
        xml = prefix.get('ann_path', None if prefix else 'Annotations')
        if xml:
            yield 'data_prefix.ann_path', os.path.join(root, xml), True
        return
    folder = os.path.expanduser(prefix.get('img_path') or '')
    if kind in ('ImageNet', 'ImageNet100'):
        folder = folder or split
    if folder:
        yield 'data_prefix', os.path.join(root, folder), True
    if dataset.get('ann_file'):
        lists = os.path.expanduser(dataset['ann_file'])
        yield 'ann_file', os.path.join(root, lists), False


def _nearest_content(path: str) -> str:
    """Describe the content of the nearest folder above that exists."""
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    content = listed(sorted(os.listdir(folder)), 6) or 'nothing'
    return f"'{folder}' contains {content}."
