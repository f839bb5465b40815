# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Find errors in annotations that mmdet would train on without a word."""

import json
import os
from collections.abc import Iterator, Sequence
from itertools import compress, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from pauc_mm.utils import on_main_process

# COCO's boxes are rounded outlines, which may cross the border by a pixel;
# converters that count from 1 add another.
TOLERANCE = 2.0
_SHOWN = 3


def check_annotations(cfg: Config) -> list[str]:
    """Check the annotations of all data sets before a detector is trained.

    mmdet trains on boxes outside of their image, ignores annotations of
    unknown categories, numbers the classes of each file for itself, accepts
    heads with another number of classes, and fails in the middle of an epoch
    where an image is missing. Of VOC only missing images are found: mmdet
    reads its annotations at the start. This is a collective call: the main
    process reads, and all processes raise.

    Args:
        cfg (Config): Of a detector of mmdet; its data sets may be wrapped.

    Returns:
        list[str]: Warnings, such as images that mmdet leaves out. Empty in
        other processes.

    Raises:
        ValueError: Naming all errors, with examples.
    """
    errors: list[str] = []
    warnings: list[str] = []

    def check() -> None:
        try:
            _check(cfg, errors, warnings)
        finally:
            if errors:
                raise ValueError(
                    'The annotations have errors. Correct or remove:\n  '
                    + '\n  '.join(errors)
                    + '\n(--cfg-options annotation_check=False trains '
                    'nevertheless.)'
                )

    on_main_process(check, 'The check of the annotations')
    return warnings


def _check(cfg: Config, errors: list[str], warnings: list[str]) -> None:
    from mmdet.datasets import CocoDataset, XMLDataset
    from mmdet.registry import DATASETS

    labels: dict[str, list[str]] = {}
    for key, dataset in _datasets(cfg):
        kind = dataset.get('type')
        kind = DATASETS.get(kind) if isinstance(kind, str) else kind
        bases = kind.__mro__ if isinstance(kind, type) else ()
        root = dataset.get('data_root') or ''
        ann_file = os.path.join(root, dataset.get('ann_file') or '')
        prefix = dataset.get('data_prefix') or {}
        where = f"'{ann_file}' ({key})"
        classes = (dataset.get('metainfo') or {}).get('classes')
        if classes is None:
            classes = getattr(kind, 'METAINFO', {}).get('classes') or ()
        if isinstance(classes, str):  # a file, or the only class
            is_file, file = os.path.isfile(classes), Path(classes)
            classes = file.read_text().splitlines() if is_file else [classes]
        if key.startswith('train') and classes:
            errors += _compare_heads(cfg.get('model'), key, len(classes))
        if '://' in ann_file or dataset.get('backend_args'):
            bases = ()
        try:
            if CocoDataset in bases:
                folder = os.path.join(root, prefix.get('img', ''))
                content = json.loads(Path(ann_file).read_text('utf-8'))
                labels[where] = _check_coco(
                    where, content, folder, dataset, classes, errors, warnings
                )
            elif XMLDataset in bases:
                folder = os.path.join(root, prefix.get('sub_data_root', ''))
                images = dataset.get('img_subdir', 'JPEGImages')
                names = Path(ann_file).read_text('utf-8').split()
                files = [f'{images}/{name}.jpg' for name in names]
                missing = _missing(folder, files)
                _add(errors, where, missing, f"images are not in '{folder}'")
            else:
                warnings.append(
                    f'{where}: annotations of type {dataset.get("type")} are '
                    'not checked, only local COCO and VOC files are.'
                )
        except (KeyError, TypeError, ValueError, OSError) as error:
            errors.append(f'{where} cannot be read: {error!r}')
    errors += _compare_labels(labels)


def _datasets(cfg: Config) -> Iterator[tuple[str, dict]]:
    """Yield keys and configs of all data sets, those inside of wrappers."""
    parts = [
        (f'{loop}_dataloader.dataset', loader.get('dataset'))
        for loop in ('train', 'val', 'test')
        if isinstance(loader := cfg.get(f'{loop}_dataloader'), dict)
    ]
    seen = []
    while parts:
        key, dataset = parts.pop(0)
        if not isinstance(dataset, dict):
            continue
        if 'dataset' in dataset:
            parts.append((f'{key}.dataset', dataset['dataset']))
        elif 'datasets' in dataset:
            inner = dataset['datasets']
            parts += [(f'{key}.datasets.{i}', d) for i, d in enumerate(inner)]
        else:
            keys = ('data_root', 'ann_file', 'data_prefix', 'metainfo')
            source = [dataset.get(name) for name in keys]
            if source not in seen:
                seen.append(source)
                yield key, dataset


def _check_coco(
    where: str,
    content: dict,
    folder: str,
    dataset: dict,
    classes: Sequence[str],
    errors: list[str],
    warnings: list[str],
) -> list[str]:
    """Check a file in COCO's form; return its classes in mmdet's order."""
    images = {image['id']: image for image in content['images']}
    categories = {c['id']: c['name'] for c in content['categories']}
    labels = [name for name in categories.values() if name in classes]
    absent = [name for name in classes if name not in labels]
    if absent:
        warnings.append(
            f'{where} has no category for {len(absent)} of the '
            f'{len(classes)} classes: {", ".join(absent[:_SHOWN])}. mmdet '
            'numbers the others, so that labels are not indices of classes.'
        )
    missing = _missing(folder, [i['file_name'] for i in images.values()])
    _add(errors, where, missing, f"images are not in '{folder}'")
    if 'annotations' not in content:  # as in image_info_test2017.json
        return labels
    trains, steps = not dataset.get('test_mode'), dataset.get('pipeline')
    needs_masks = trains and any(s.get('with_mask') for s in steps or ())
    unlisted, unmasked, names, boxes, sizes = [], [], [], [], []
    filled = set()
    for entry in content['annotations']:
        image_id, category = entry['image_id'], entry['category_id']
        name = f'annotation {entry["id"]} of image {image_id}'
        if image_id not in images or category not in categories:
            unlisted.append(f'{name}, category {category}')
            continue
        if needs_masks and not entry.get('segmentation'):
            unmasked.append(name)
        if categories[category] in labels:
            filled.add(image_id)
        box, image = entry['bbox'], images[image_id]
        width, height = image['width'], image['height']
        shape = f'{image["file_name"]}, {width} x {height}'
        names.append(f'{name} ({shape}), box {box}')
        is_box = isinstance(box, list) and len(box) == 4
        boxes.append(box if is_box else [np.nan] * 4)
        sizes.append((width, height))
    _add(errors, where, unlisted, 'annotations of no listed image or category')
    _add(errors, where, unmasked, 'annotations without segmentation')
    boxes = np.array(boxes, float).reshape(-1, 4)
    sizes = np.array(sizes, float).reshape(-1, 2)
    low, extent = boxes[:, :2], boxes[:, 2:]
    valid = np.isfinite(boxes).all(1) & (extent >= 0).all(1)
    outside = (low < -TOLERANCE) | (low + extent > sizes + TOLERANCE)
    outside |= (extent > 0) & ((low >= sizes) | (low + extent <= 0))
    for rows, problem in (
        (~valid, 'boxes are not [x, y, width, height]'),
        (valid & outside.any(1), 'boxes outside of their image'),
    ):
        _add(errors, where, list(compress(names, rows)), problem)
    # mmdet drops boxes without area; COCO has a few among 860,000.
    num_flat = int((valid & (extent == 0).any(1)).sum())
    num_empty = len(images) - len(filled)
    filters = (dataset.get('filter_cfg') or {}).get('filter_empty_gt')
    if num_empty == len(images):
        errors.append(
            f'{where}: all {num_empty} images are without an object of the '
            f'classes {", ".join(classes[:_SHOWN])}. Set metainfo.classes.'
        )
    elif trains and (num_flat or (num_empty and filters)):
        warnings.append(
            f'{where}: mmdet leaves out {num_empty if filters else 0} of '
            f'{len(images)} images, which have no object of the classes, and '
            f'{num_flat} of {len(boxes)} boxes, which have no area.'
        )
    return labels


def _add(
    errors: list[str], where: str, examples: Sequence[str], problem: str
) -> None:
    """Add an error, unless there are no examples."""
    if examples:
        more = '; ...' if len(examples) > _SHOWN else ''
        shown = '; '.join(examples[:_SHOWN]) + more
        errors.append(f'{where}: {len(examples)} {problem}: {shown}.')


def _missing(folder: str, names: Sequence[str]) -> list[str]:
    """Names of files that do not exist; reads each folder once."""
    existing = {}
    for parent in {os.path.dirname(name) for name in names}:
        path = os.path.join(folder, parent)
        files = os.listdir(path) if os.path.isdir(path) else ()
        existing.update(dict.fromkeys(os.path.join(parent, f) for f in files))
    return [name for name in names if os.path.normpath(name) not in existing]


def _compare_labels(labels: dict[str, list[str]]) -> list[str]:
    """Compare the classes of the first file with those of the others."""
    first = next(iter(labels), '')
    return [
        f'label {i} is {a or "no class"} in {first}, but {b or "no class"} in '
        f"{where}: mmdet numbers classes in the order of the file's "
        'categories. Give both files the same categories, and both data sets '
        'the same classes.'
        for where, names in labels.items()
        for i, (a, b) in enumerate(zip_longest(labels[first], names))
        if a != b
    ]


def _compare_heads(model: Any, key: str, expected: int) -> list[str]:
    """Compare num_classes of all bbox_head and mask_head with a data set's."""
    errors = []
    parts = [('model', model)]
    while parts:
        path, part = parts.pop()
        if isinstance(part, (list, tuple)):
            part = dict(enumerate(part))
        if not isinstance(part, dict):
            continue
        count = part.get('num_classes', expected)
        if '_head' in path and 'rpn' not in path and count != expected:
            errors.append(
                f'{path}.num_classes={count}, but {key} has {expected} '
                'classes (metainfo.classes): make the two equal.'
            )
        parts += [(f'{path}.{name}', value) for name, value in part.items()]
    return errors
