# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images to embed with the encoder of a checkpoint."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS

from pauc_mm.datasets import subset

from .preprocessing import (
    OWN_PIPELINE,
    file_pipeline,
    gives_bgr,
    image_shape,
    loads_files,
)

# Fewer say nothing about prototypes.
MIN_IMAGES = 40


@dataclass
class ImageSource:
    """Images in a fixed order."""

    dataset: BaseDataset  # one view of each image, as a model is tested
    views: BaseDataset | None  # the same images, augmented
    # Class of each image, shape (N,), int64; or shape (N, K), int8, with 1
    # where an image has a class, -1 where not, 0 where that is left open.
    labels: torch.Tensor | None
    classes: list[str] | None  # names of the K classes
    description: str  # for the report
    decided_by: str  # what decided the size and the loading of images
    bgr: bool = True  # whether channels are blue, green, red

    def select(self, rows: Sequence[int]) -> ImageSource:
        """Return the images of some indices, in their order."""
        return replace(
            self,
            dataset=subset(self.dataset, rows),
            views=self.views and subset(self.views, rows),
            labels=None if self.labels is None else self.labels[rows],
        )

    @functools.cached_property
    def paths(self) -> list[str]:
        """File of each image, '' where it has none."""
        infos = map(self.dataset.get_data_info, range(len(self)))
        return [str(info.get('img_path', '')) for info in infos]

    def fingerprint(self) -> str:
        """Return a digest of the image files, labels and transforms."""
        stats = map(os.stat, filter(os.path.isfile, self.paths))
        facts = [
            [self.paths, [[s.st_size, s.st_mtime_ns] for s in stats]],
            None if self.labels is None else self.labels.tolist(),
            repr(self.dataset.pipeline),
            repr(self.views.pipeline) if self.views is not None else None,
            self.description,
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.dataset)


def find_images(
    encoder: Any,
    data: str | None = None,
    with_labels: bool = False,
    image_size: int | None = None,
    max_images: int | None = None,
    corrupt: str = 'error',
    seed: int = 0,
) -> ImageSource:
    """Find the images of a diagnosis and how to load them.

    They are those of the folder ``data``, whose first-level sub-folders are
    classes if labels are read, else of the data set that the config of the
    encoder tests on. The centre crop has ``image_size`` pixels a side, else
    what :func:`file_pipeline` finds. Of more than ``max_images`` so many are
    drawn by the seed. For ``corrupt`` see
    :class:`pauc_mm.datasets.ImageFolder`.

    Raises:
        ValueError: If there is no folder and no config that names a data set,
            there are too few images, or labels are missing.
        FileNotFoundError: If the folder does not exist.
    """
    init_default_scope('mmpretrain')
    cfg, pipeline, bgr, decided_by = _dataset_config(encoder, data, image_size)
    if data is not None:
        cfg.update(with_label=with_labels, corrupt=corrupt)
    try:
        dataset = DATASETS.build(dict(copy.deepcopy(cfg), pipeline=pipeline))
    except (FileNotFoundError, ValueError) as error:
        if data is None:
            raise
        raise type(error)(
            f'{error}\nHere the folder is --data; --corrupt skip leaves out '
            'images that do not decode; without --labels sub-folders are no '
            'classes.'
        ) from error
    chosen = list(range(len(dataset)))
    if max_images is not None and len(chosen) > max_images:
        rng = np.random.default_rng(seed)
        drawn = rng.choice(len(chosen), max_images, replace=False)
        chosen = np.sort(drawn).tolist()
        dataset = subset(dataset, chosen)
    where = data or f'{cfg["type"]} of the config'
    if len(dataset) < MIN_IMAGES:
        raise ValueError(
            f'{where} has {len(dataset)} images; a diagnosis needs at least '
            f'{MIN_IMAGES}, and 1,000 or more to say much. Give --data '
            'another folder, or raise --max-images.'
        )
    labels, classes = None, None
    if with_labels:
        labels, classes = read_labels(
            dataset,
            f'images of {where}',
            'leave out --labels, or sort the images into one sub-folder for '
            'each class',
        )
    size = ' x '.join(map(str, image_shape(dataset)[1:]))
    return ImageSource(
        dataset=dataset,
        views=_views(encoder, cfg, pipeline, chosen),
        labels=labels,
        classes=classes,
        description=f'{where}: {len(dataset)} images of {size} pixels',
        decided_by=decided_by,
        bgr=bgr,
    )


def read_labels(
    dataset: BaseDataset, where: str, fix: str
) -> tuple[torch.Tensor, list[str]]:
    """Read the one label of each of the N images of a data set.

    ``where`` names the images, and ``fix`` a remedy for missing labels.

    Returns:
        tuple[Tensor, list[str]]: Labels (N,), int64, and names of classes.

    Raises:
        ValueError: If a label is missing, an image has several, or there is
            one class only.
    """
    labels = [
        dataset.get_data_info(i).get('gt_label') for i in range(len(dataset))
    ]
    missing = sum(label is None for label in labels)
    if missing:
        raise ValueError(
            f'{missing} of {len(labels)} {where} have no label: {fix}.'
        )
    several = sum(np.ndim(label) > 0 for label in labels)
    if several:
        raise ValueError(
            f'{several} of {len(labels)} {where} have several labels; of such '
            'images only those of Pascal VOC can be used: low_shot_svm.py '
            '--voc DIR.'
        )
    numbers = torch.tensor([int(label) for label in labels])
    if len(numbers.unique()) < 2:
        raise ValueError(
            f'Labels must be of two classes or more; the {where} have one '
            'only.'
        )
    count = int(numbers.max()) + 1
    names = dataset.metainfo.get('classes') or range(count)
    if numbers.min() < 0 or len(names) < count:
        raise ValueError(
            f'Labels of the {where} must be from 0 to {len(names) - 1}, as '
            f'metainfo.classes has {len(names)} names, got '
            f'{int(numbers.min())} to {count - 1}.'
        )
    return numbers, [str(name) for name in names]


def _dataset_config(
    encoder: Any, data: str | None, image_size: int | None
) -> tuple[dict, list, bool, str]:
    """Return the data set's config, then as :func:`file_pipeline`."""
    if data is not None:
        cfg = dict(type='ImageFolder', data_root=data)
        return cfg, *file_pipeline(encoder, image_size)
    if encoder.dataset is None:
        raise ValueError(
            f'This checkpoint ({encoder.layout}) names no data set of '
            'its own: give a folder of images, --data DIR, or a config '
            'that has one, --config CFG.'
        )
    if image_size is not None:
        raise ValueError(
            '--image-size goes with --data; the data set of the config '
            'has its own size.'
        )
    pipeline = copy.deepcopy(list(encoder.pipeline))
    cfg = {k: v for k, v in encoder.dataset.items() if k != 'pipeline'}
    return cfg, pipeline, gives_bgr(encoder, pipeline), OWN_PIPELINE


def _views(
    encoder: Any, cfg: dict, pipeline: list[dict], chosen: list[int]
) -> BaseDataset | None:
    """Return the images augmented twice, as in training if that is known."""
    loading = [s for s in pipeline if loads_files([s])]
    loader = (encoder.config or {}).get('train_dataloader') or {}
    for step in (loader.get('dataset') or {}).get('pipeline') or []:
        if step['type'] == 'MultiView' and np.sum(step['num_views']) == 2:
            views = dict(step)
            break
    else:
        crops = [s for s in pipeline if s['type'] == 'CenterCrop']
        if not loading or not crops:
            return None
        crop = dict(
            type='RandomResizedCrop',
            scale=crops[0]['crop_size'],
            crop_ratio_range=(0.2, 1.0),
            backend='pillow',
        )
        flip = dict(type='RandomFlip', prob=0.5)
        views = dict(type='MultiView', num_views=2, transforms=[[crop, flip]])
    steps = [*loading, views, dict(type='PackInputs')]
    dataset = DATASETS.build(copy.deepcopy(dict(cfg, pipeline=steps)))
    return subset(dataset, chosen)
