# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process

from pauc_mm.utils.distributed import raise_together


def check_annotations(cfg: Config) -> list[str]:
    """Looks at the annotations of all data sets before a detector is trained.

    mmdet trains on without a word where a box is outside of its image, an
    annotation points nowhere or the classes are others, and ends after hours
    where a file is missing. See :func:`~.coco_check.check_coco` and
    :func:`~.voc_check.check_voc`. Labels must mean the same in all files. A
    collective call: the first process looks, and all of them stop.

    Args:
        cfg (Config): Of a detector of mmdet; its data sets may be wrapped.

    Returns:
        list[str]: What is to be told, although it is no error, such as images
        without boxes, which mmdet leaves out. Empty but in the main process.

    Raises:
        FileNotFoundError: A file of annotations is missing.
        ValueError: It has errors, or classes have other labels than in
            another file.
    """
    notes: list[str] = []
    error: Exception | None = None
    if is_main_process():
        seen: set[str] = set()
        labels: list[tuple[str, list[str]]] = []
        try:
            for name, dataset in _datasets(cfg):
                key = str(
                    [dataset.get(k) for k in ('data_root', 'ann_file')]
                    + [dataset.get(k) for k in ('data_prefix', 'metainfo')]
                )
                if key not in seen:
                    seen.add(key)
                    notes += _check(name, dataset, labels)
            _compare_labels(labels)
        except (ValueError, FileNotFoundError) as problem:
            error = problem
    raise_together(error, 'The check of the annotations')
    return notes


def _datasets(cfg: Config) -> Iterator[tuple[str, dict]]:
    """Data sets of all loops, those inside of wrappers, with their keys."""
    for loop in ('train', 'val', 'test'):
        loader = cfg.get(f'{loop}_dataloader')
        if isinstance(loader, dict):
            key = f'{loop}_dataloader.dataset'
            yield from _unwrapped(key, loader.get('dataset'))


def _unwrapped(key: str, dataset: object) -> Iterator[tuple[str, dict]]:
    if not isinstance(dataset, dict):
        return
    if 'dataset' in dataset:
        yield from _unwrapped(f'{key}.dataset', dataset['dataset'])
    elif 'datasets' in dataset:
        for i, part in enumerate(dataset['datasets']):
            yield from _unwrapped(f'{key}.datasets.{i}', part)
    else:
        yield key, dataset


def _compare_labels(labels: list[tuple[str, list[str]]]) -> None:
    """Raises unless each label is the same class in all files."""
    for name, found in labels[1:]:
        first, expected = labels[0]
        for label, (a, b) in enumerate(zip_longest(expected, found)):
            if a != b:
                raise ValueError(
                    f'label {label} is {_shown(a)} in {first}, but '
                    f'{_shown(b)} in {name}: mmdet numbers the classes of a '
                    'data set in the order of the categories of its file, '
                    'and leaves out those that it lacks. Give both files the '
                    "same 'categories', and both data sets the same classes."
                    '\n(tools/benchmarks/detection/train.py trains on them '
                    'with --cfg-options annotation_check=False.)'
                )


def _shown(name: str | None) -> str:
    return 'no class' if name is None else repr(name)


def _check(
    key: str, dataset: dict, labels: list[tuple[str, list[str]]]
) -> list[str]:
    """Notes on a data set; adds the classes of a file in COCO's form."""
    from mmdet.datasets import CocoDataset, XMLDataset
    from mmdet.registry import DATASETS

    from .coco_check import check_coco
    from .voc_check import check_voc

    kind = dataset.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    if not isinstance(kind, type) or not issubclass(
        kind, (CocoDataset, XMLDataset)
    ):
        return [
            f"{key}: annotations of {dataset.get('type')} are not in COCO's "
            "or in VOC's form, and were not looked at."
        ]
    root = dataset.get('data_root') or ''
    ann_file = os.path.join(root, dataset['ann_file'])
    prefix = dataset.get('data_prefix') or {}
    classes = (dataset.get('metainfo') or {}).get('classes')
    if classes is None:
        classes = kind.METAINFO.get('classes') or ()
    if isinstance(classes, str):  # a file, or the only one
        path = Path(classes)
        classes = [classes]
        if path.is_file():
            classes = path.read_text(encoding='utf-8').split('\n')
    training = not dataset.get('test_mode', False)
    filter_cfg = dataset.get('filter_cfg') or {}
    filter_empty = training and bool(filter_cfg.get('filter_empty_gt'))
    if '://' in ann_file or dataset.get('backend_args'):
        return [
            f"{key}: '{ann_file}' is not on a local disk, and was not looked "
            'at.'
        ]
    if issubclass(kind, XMLDataset):
        return check_voc(
            ann_file,
            os.path.join(root, prefix.get('sub_data_root', '')),
            classes,
            filter_empty,
            dataset.get('img_subdir', 'JPEGImages'),
            dataset.get('ann_subdir', 'Annotations'),
        )
    masks = any(
        step.get('with_mask', False)
        for step in dataset.get('pipeline') or ()
        if training and str(step.get('type')).endswith('LoadAnnotations')
    )
    notes, found = check_coco(
        ann_file,
        os.path.join(root, prefix.get('img', '')),
        classes,
        filter_empty,
        masks,
        training,
    )
    labels.append((f"'{ann_file}' ({key})", found))
    return notes
