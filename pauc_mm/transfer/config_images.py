# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from pauc_mm.checkpoints.encoder import Encoder
from pauc_mm.checkpoints.plain_config import (
    loads_foreign_files,
    restrict_types,
)
from pauc_mm.utils.shipped_files import resolve_config

from .labelled_images import (
    GIVE_FOLDERS,
    LabelledImages,
    build_images,
    check_pair,
    crop_pipeline,
)


def from_config(
    encoder: Encoder, trusted: bool = False
) -> tuple[LabelledImages, LabelledImages]:
    """The data that the config of the checkpoint is evaluated with.

    Training images are those of ``bank_dataloader`` of ``val_cfg`` or
    ``test_cfg``, else of ``train_dataloader``; test images those of
    ``val_dataloader``, else of ``test_dataloader``. Both go through the
    pipeline of the latter.

    Args:
        encoder (Encoder): With a config.
        trusted (bool): Whether the config may build whatever it names.

    Returns:
        tuple[LabelledImages, LabelledImages]: Training and test images.

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
    if not trusted:
        bank = _restricted(bank)
    sets = [
        _build(cfg, encoder.pipeline, f'{name} images', 'the config')
        for name, cfg in (('training', bank), ('test', encoder.dataset))
    ]
    if _same(bank, encoder.dataset):
        raise ValueError(
            "The checkpoint's config takes the same images for training and "
            f'for test: {GIVE_FOLDERS}.'
        )
    check_pair(*sets)
    return tuple(sets)


def from_data_config(
    encoder: Encoder, config: str, image_size: int | None = None
) -> tuple[LabelledImages, LabelledImages]:
    """The data that a config trains on and validates with.

    Args:
        encoder (Encoder): Its own config, if known, says how an image is
            cropped.
        config (str): A file, or ``pauc_mm::NAME`` for a shipped config, such
            as those of ``configs/benchmarks/linear``.
        image_size (int, optional): Side of the centre crop, in pixels, in
            the place of the config's.

    Returns:
        tuple[LabelledImages, LabelledImages]: Training and validation images.

    Raises:
        FileNotFoundError: If the config or its ``data_root`` is missing.
        ValueError: If it names no data, or images have no labels.
    """
    init_default_scope('mmpretrain')
    cfg = Config.fromfile(resolve_config(config))
    pipeline = crop_pipeline(encoder, image_size)
    sets = []
    for name, part in (('train', 'training'), ('val', 'validation')):
        dataset = (cfg.get(f'{name}_dataloader') or {}).get('dataset')
        if not dataset:
            raise ValueError(
                f"--data-config '{config}' has no {name}_dataloader with a "
                'dataset.'
            )
        sets.append(
            _build(_plain(dataset), pipeline, f'{part} images', config)
        )
    check_pair(*sets)
    return tuple(sets)


def _build(cfg: dict, pipeline: list, name: str, whose: str) -> LabelledImages:
    cfg = {k: v for k, v in cfg.items() if k != 'pipeline'}
    root = cfg.get('data_root')
    if root and '://' not in root and not os.path.isdir(root):
        raise FileNotFoundError(
            f"The {name} of {whose} are in '{root}', which is not a folder "
            f'here (current folder: {os.getcwd()}): {GIVE_FOLDERS}.'
        )
    where = f'{name} of {os.path.basename(whose)} ({cfg["type"]})'
    return build_images(cfg, pipeline, where)


def _bank(encoder: Encoder) -> dict | None:
    config = encoder.config or {}
    loops = [config.get(f'{loop}_cfg') or {} for loop in ('val', 'test')]
    loaders = [loop.get('bank_dataloader') for loop in loops]
    for loader in (*loaders, config.get('train_dataloader')):
        dataset = (loader or {}).get('dataset')
        if dataset:
            return _plain(dataset)
    return None


def _restricted(cfg: dict) -> dict:
    from mmpretrain.registry import DATASETS, TRANSFORMS

    cfg = {k: v for k, v in cfg.items() if k != 'pipeline'}
    try:
        if loads_foreign_files(cfg):
            raise ValueError('it names a URL or a pickle')
        return restrict_types(cfg, TRANSFORMS, DATASETS)
    except ValueError as error:
        raise ValueError(
            f'The training images that the checkpoint names were refused: '
            f'{error}. Name its config file with --config, or {GIVE_FOLDERS}.'
        ) from error


def _plain(value: Any) -> Any:
    """Copy ConfigDicts into dicts."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value


def _same(one: dict, other: dict) -> bool:
    one, other = (
        {k: v for k, v in cfg.items() if k not in ('pipeline', '_scope_')}
        for cfg in (one, other)
    )
    return one == other
