# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Whether the files that the data sets of a config name are there."""

from __future__ import annotations

import os
from collections.abc import Iterator

SHOWN = 6


def check_layout(key: str, dataset: dict) -> None:
    """Look for the folders and lists of a data set before it is built.

    mmpretrain tells of a missing one by the name of a path alone, or with the
    number of sub-folders of another. What is looked for: ``ann_file``, the
    folder of ``data_prefix``, of ImageNet the split's, of VOC its three.

    Args:
        key (str): Of the config, for the message.
        dataset (dict): Config of a data set, or of one around others.

    Raises:
        FileNotFoundError: Naming what is missing, what is expected and what
            is there.
    """
    if not isinstance(dataset, dict):
        return
    inner = dataset.get('datasets', dataset.get('dataset'))
    if inner is not None:
        several = isinstance(inner, (list, tuple))
        for i, part in enumerate(inner if several else [inner]):
            below = f'datasets.{i}' if several else 'dataset'
            check_layout(f'{key}.{below}', part)
        return
    expected = list(_expected(dataset))
    for name, path, is_folder in expected:
        if '://' in path:
            continue
        if (os.path.isdir if is_folder else os.path.isfile)(path):
            continue
        wanted = ', '.join(
            f'{p}{os.sep}' if folder else p for _, p, folder in expected
        )
        raise FileNotFoundError(
            f'{key}.{name}: there is no {"folder" if is_folder else "file"} '
            f"'{path}' (current folder: {os.getcwd()}). {_kind(dataset)} "
            f'expects here {wanted}. {_found(path)}{_hint(dataset, name)}'
        )


def _kind(dataset: dict) -> str:
    return str(dataset.get('type')).rpartition('.')[2]


def _expected(dataset: dict) -> Iterator[tuple[str, str, bool]]:
    """Key, path and whether it is a folder, of all that must be there."""
    kind = _kind(dataset)
    root = os.path.expanduser(dataset.get('data_root') or '')
    split = dataset.get('split') or ''
    if kind == 'VOC':
        lists = dataset.get('image_set_path') or os.path.join(
            'ImageSets', 'Main', f'{split}.txt'
        )
        yield 'split', os.path.join(root, lists), False
        folders = dataset.get('data_prefix') or {}
        if isinstance(folders, str):
            folders = dict(img_path=folders)
        images = folders.get('img_path', 'JPEGImages')
        yield 'data_prefix.img_path', os.path.join(root, images), True
        xml = folders.get('ann_path', None if folders else 'Annotations')
        if xml:
            yield 'data_prefix.ann_path', os.path.join(root, xml), True
        return
    prefix = _image_prefix(dataset)
    if kind in ('ImageNet', 'ImageNet100') and not prefix:
        prefix = split
    if prefix:
        yield 'data_prefix', os.path.join(root, prefix), True
    elif root:
        yield 'data_root', root, True
    if dataset.get('ann_file'):
        lists = os.path.expanduser(dataset['ann_file'])
        yield 'ann_file', os.path.join(root, lists), False


def _image_prefix(dataset: dict) -> str | None:
    prefix = dataset.get('data_prefix')
    if isinstance(prefix, dict):
        prefix = prefix.get('img_path')
    return os.path.expanduser(prefix) if prefix else None


def _found(path: str) -> str:
    """What the nearest folder above that exists holds."""
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    names = sorted(os.listdir(folder))
    shown = ', '.join(names[:SHOWN]) + (', ...' if len(names) > SHOWN else '')
    return f"'{folder}' holds {shown or 'nothing'}."


def _hint(dataset: dict, name: str) -> str:
    if name == 'ann_file' and _kind(dataset) in ('ImageNet', 'CustomDataset'):
        return (
            " A list of some images, with lines 'path label', is written by "
            'tools/data/draw_subset.py.'
        )
    return ''
