# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Labelled images to train and to test a classifier on."""

import copy
import os

import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS

from pauc_mm.checkpoints.config import read_config
from pauc_mm.checkpoints.encoder import Encoder
from pauc_mm.checkpoints.plain_config import plain, restrict_data
from pauc_mm.embedding.images import ImageSource, read_labels
from pauc_mm.embedding.preprocessing import (
    OWN_PIPELINE,
    file_pipeline,
    loads_files,
)
from pauc_mm.utils.checks import check_choice, check_same_classes
from pauc_mm.utils.shipped_files import resolve_config

from .voc import VOCClassification

GIVE_FOLDERS = (
    'give two folders with one sub-folder for each class, --train DIR and '
    '--test DIR'
)

Pair = tuple[ImageSource, ImageSource]


def from_folders(
    encoder: Encoder,
    train: str,
    test: str,
    image_size: int | None = None,
    corrupt: str = 'error',
) -> Pair:
    """Take two folders with one sub-folder for each class.

    The encoder's config, if known, says how an image is cropped, unless
    ``image_size``, in pixels, does. For ``corrupt`` see
    :class:`pauc_mm.datasets.ImageFolder`.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If an image lies outside of the sub-folders, there is one
            class, the classes of the two differ, or they share images.
    """
    init_default_scope('mmpretrain')
    pipeline, _, decided_by = file_pipeline(encoder, image_size)
    options = dict(type='ImageFolder', with_label=True, corrupt=corrupt)
    return _checked_pair(
        _build(dict(options, data_root=folder), pipeline, folder, decided_by)
        for folder in (train, test)
    )


def from_voc(
    encoder: Encoder,
    root: str,
    image_size: int | None = None,
    difficult: str = 'ignore',
) -> Pair:
    """Take the trainval and the test images of Pascal VOC, labels (N, K).

    See :func:`from_folders` and :func:`~.voc.find_voc`. ``difficult`` is
    'ignore', which leaves an image out of a class that it shows in difficult
    examples only, or 'negative', which counts the class as absent, as PCL's
    code does.

    Raises:
        FileNotFoundError: If the layout is another.
        ValueError: If lists are malformed, the classes of the two differ, or
            they share images.
    """
    check_choice('difficult', difficult, ('ignore', 'negative'))
    init_default_scope('mmpretrain')
    pipeline, _, decided_by = file_pipeline(encoder, image_size)
    sources = []
    for split in ('trainval', 'test'):
        dataset = VOCClassification(root, split, pipeline)
        labels = torch.from_numpy(dataset.targets.copy())
        if difficult == 'negative':
            labels[labels == 0] = -1
        where = f'{split} of {dataset.folder}'
        classes = dataset.metainfo['classes']
        sources.append(_source(dataset, labels, classes, where, decided_by))
    return _checked_pair(sources)


def from_config(encoder: Encoder, trusted: bool = False) -> Pair:
    """Take the data that the config of the checkpoint is evaluated with.

    Training images are those of ``bank_dataloader`` of ``val_cfg`` or
    ``test_cfg``, else of ``train_dataloader``; test images those of
    ``val_dataloader``, else of ``test_dataloader``. Both go through the
    pipeline of the latter. Only a ``trusted`` config may build whatever it
    names.

    Raises:
        FileNotFoundError: If a ``data_root`` is missing.
        ValueError: If the config names no such data, images have no labels,
            or both are the same.
    """
    init_default_scope('mmpretrain')
    bank = _bank(encoder)
    if encoder.dataset is None or bank is None:
        raise ValueError(
            f'This checkpoint ({encoder.layout}) names no data of its own to '
            f'train and test a classifier on: {GIVE_FOLDERS}.'
        )
    try:
        bank = bank if trusted else restrict_data(_without(bank, 'pipeline'))
    except ValueError as error:
        raise ValueError(
            f'The training images that the checkpoint names were refused: '
            f'{error}. Name its config file with --config, or {GIVE_FOLDERS}.'
        ) from error
    pair = (('training', bank), ('test', encoder.dataset))
    sources = [
        _build_of(cfg, encoder.pipeline, name, 'the config', OWN_PIPELINE)
        for name, cfg in pair
    ]
    one, other = (_without(cfg, 'pipeline', '_scope_') for _, cfg in pair)
    if one == other:
        raise ValueError(
            "The checkpoint's config takes the same images for training and "
            f'for test: {GIVE_FOLDERS}.'
        )
    return _checked_pair(sources)


def from_data_config(
    encoder: Encoder, config: str, image_size: int | None = None
) -> Pair:
    """Take the data that a config trains on and validates with.

    The config is a file, or ``pauc_mm::NAME`` for a shipped one, such as
    those of ``configs/benchmarks/linear``. See :func:`from_folders`.

    Raises:
        FileNotFoundError: If the config or its ``data_root`` is missing.
        ValueError: If it is no config or names no data, or images have no
            labels.
    """
    init_default_scope('mmpretrain')
    path = config if os.path.isfile(config) else resolve_config(config)
    cfg = read_config(path)
    sources = []
    for name, part in (('train', 'training'), ('val', 'validation')):
        dataset = (cfg.get(f'{name}_dataloader') or {}).get('dataset')
        if not dataset:
            raise ValueError(
                f"--data-config '{config}' has no {name}_dataloader with a "
                'dataset.'
            )
        dataset = plain(dataset)
        pipeline, _, decided_by = file_pipeline(encoder, image_size)
        if not loads_files(dataset.get('pipeline') or pipeline):
            pipeline = [s for s in pipeline if not loads_files([s])]  # arrays
        sources.append(_build_of(dataset, pipeline, part, config, decided_by))
    return _checked_pair(sources)


def _build(
    cfg: dict, pipeline: list, where: str, decided_by: str
) -> ImageSource:
    dataset = DATASETS.build(copy.deepcopy(dict(cfg, pipeline=pipeline)))
    labels, classes = read_labels(dataset, where, GIVE_FOLDERS)
    return _source(dataset, labels, classes, where, decided_by)


def _source(
    dataset, labels, classes, where: str, decided_by: str
) -> ImageSource:
    return ImageSource(
        dataset=dataset,
        views=None,
        labels=labels,
        classes=list(classes),
        description=f'{where}: {len(dataset)} images',
        decided_by=decided_by,
    )


def _build_of(
    cfg: dict, pipeline: list, name: str, config: str, decided_by: str
) -> ImageSource:
    root = cfg.get('data_root')
    if root and '://' not in root and not os.path.isdir(root):
        raise FileNotFoundError(
            f"The {name} images of {config} are in '{root}', which is not a "
            f'folder here (current folder: {os.getcwd()}): {GIVE_FOLDERS}.'
        )
    where = f'{name} images of {os.path.basename(config)} ({cfg["type"]})'
    return _build(cfg, pipeline, where, decided_by)


def _bank(encoder: Encoder) -> dict | None:
    config = encoder.config or {}
    loops = [config.get(f'{loop}_cfg') or {} for loop in ('val', 'test')]
    loaders = [loop.get('bank_dataloader') for loop in loops]
    for loader in (*loaders, config.get('train_dataloader')):
        if dataset := (loader or {}).get('dataset'):
            return plain(dataset)
    return None


def _without(cfg: dict, *keys: str) -> dict:
    return {k: v for k, v in cfg.items() if k not in keys}


def _checked_pair(sources) -> Pair:
    """Refuse sets that differ in their classes or share images."""
    train, test = sources
    check_same_classes(
        train.description, train.classes, test.description, test.classes
    )
    real = {os.path.realpath(path) for path in train.paths if path}
    shared = [p for p in test.paths if p and os.path.realpath(p) in real]
    if shared:
        raise ValueError(
            f'{len(shared)} of {len(test)} test images are training images '
            f'too, first {shared[0]}: an accuracy on them would say nothing. '
            'Give folders that share none.'
        )
    return train, test
