# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Labelled images to train and to test a classifier on."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.registry import init_default_scope

from pauc_mm.checkpoints.encoder import IMAGENET_PIPELINE, Encoder
from pauc_mm.datasets import subset
from pauc_mm.embedding.images import ImageSource, centre_crop

from .voc import VOCClassification

GIVE_FOLDERS = (
    'give two folders with one sub-folder for each class, --train DIR and '
    '--test DIR'
)


class LabelledImages(ImageSource):
    """Images that all have labels.

    ``labels`` have shape (N,), int64, the class of each image; or (N, K),
    int8, with 1 where an image has a class, -1 where it has not, and 0 where
    that is left open.
    """

    def subset(self, rows: Sequence[int]) -> LabelledImages:
        """The images of some rows, in their order."""
        rows = [int(row) for row in rows]
        return LabelledImages(
            dataset=subset(self.dataset, rows),
            views=None,
            labels=self.labels[rows],
            classes=self.classes,
            paths=[self.paths[row] for row in rows],
            description=f'{len(rows)} of {self.description}',
        )


def from_folders(
    encoder: Encoder,
    train: str,
    test: str,
    image_size: int | None = None,
    corrupt: str = 'error',
) -> tuple[LabelledImages, LabelledImages]:
    """Two folders with one sub-folder for each class.

    Args:
        encoder (Encoder): Its config, if known, says how an image is cropped.
        train (str): Folder of the training images.
        test (str): Folder of the test images.
        image_size (int, optional): Side of the centre crop, in pixels, in
            the place of the config's.
        corrupt (str): See :class:`pauc_mm.datasets.ImageFolder`.

    Returns:
        tuple[LabelledImages, LabelledImages]: Training and test images.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If an image lies outside of the sub-folders, there is one
            class, the classes of the two differ, or they share images.
    """
    init_default_scope('mmpretrain')
    pipeline = crop_pipeline(encoder, image_size)
    sets = [
        build_images(
            dict(
                type='ImageFolder',
                data_root=folder,
                with_label=True,
                corrupt=corrupt,
            ),
            pipeline,
            folder,
        )
        for folder in (train, test)
    ]
    check_pair(*sets)
    return tuple(sets)


def from_voc(
    encoder: Encoder,
    root: str,
    image_size: int | None = None,
    difficult: str = 'ignore',
) -> tuple[LabelledImages, LabelledImages]:
    """The trainval and the test images of Pascal VOC.

    Args:
        encoder (Encoder): See :func:`from_folders`.
        root (str): See :func:`~.voc.find_voc`.
        image_size (int, optional): See :func:`from_folders`.
        difficult (str): 'ignore' leaves an image out of a class that it
            shows in difficult examples only; 'negative' says that it does
            not have it, as PCL's code does.

    Returns:
        tuple[LabelledImages, LabelledImages]: With labels (N, K).

    Raises:
        FileNotFoundError: If the layout is another.
        ValueError: If lists are malformed, the classes of the two differ, or
            they share images.
    """
    if difficult not in ('ignore', 'negative'):
        raise ValueError(
            f"difficult={difficult!r} is unknown: use 'ignore' or 'negative'."
        )
    init_default_scope('mmpretrain')
    pipeline = crop_pipeline(encoder, image_size)
    sets = []
    for split in ('trainval', 'test'):
        dataset = VOCClassification(root, split, pipeline)
        labels = torch.from_numpy(dataset.targets.copy())
        if difficult == 'negative':
            labels[labels == 0] = -1
        sets.append(
            LabelledImages(
                dataset=dataset,
                views=None,
                labels=labels,
                classes=list(dataset.metainfo['classes']),
                paths=dataset.image_paths,
                description=f'{split} of {dataset.folder}: {len(dataset)} '
                'images',
            )
        )
    check_pair(*sets)
    return tuple(sets)


def crop_pipeline(encoder: Encoder, image_size: int | None) -> list[dict]:
    """How to load and crop an image file.

    Args:
        encoder (Encoder): Its pipeline is taken if that loads files.
        image_size (int, optional): Side of the centre crop in pixels; the
            short edge is resized to 8/7 of it. By default that of the
            config's images, or 224 out of 256 as in the papers.

    Returns:
        list[dict]: Configs of transforms.
    """
    own = copy.deepcopy(list(encoder.pipeline or []))
    if image_size is None:
        if any('LoadImage' in str(step['type']) for step in own):
            return own
        image_size = (encoder.dataset or {}).get('size')
    if image_size is None:
        return copy.deepcopy(IMAGENET_PIPELINE)
    return centre_crop(image_size)


def build_images(cfg: dict, pipeline: list, where: str) -> LabelledImages:
    """Build a data set and read its labels.

    Args:
        cfg (dict): Config of a data set of mmpretrain.
        pipeline (list[dict]): Transforms.
        where (str): What to call it in a message.

    Returns:
        LabelledImages: With labels (N,).

    Raises:
        ValueError: If a label is missing, an image has several, or there is
            one class only.
    """
    from mmpretrain.registry import DATASETS

    cfg = dict(copy.deepcopy(cfg), pipeline=copy.deepcopy(pipeline))
    dataset = DATASETS.build(cfg)
    labels, paths = [], []
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        labels.append(info.get('gt_label'))
        paths.append(str(info.get('img_path', '')))
    labels = _labels(labels, where)
    names = dataset.metainfo.get('classes')
    if names is None:
        names = range(int(labels.max()) + 1)
    return LabelledImages(
        dataset=dataset,
        views=None,
        labels=labels,
        classes=[str(name) for name in names],
        paths=paths,
        description=f'{where}: {len(dataset)} images',
    )


def _labels(labels: list, where: str) -> torch.Tensor:
    missing = sum(label is None for label in labels)
    if missing:
        raise ValueError(
            f'{missing} of {len(labels)} {where} have no label: '
            f'{GIVE_FOLDERS}.'
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
            f'A classifier needs images of two classes or more, and {where} '
            'has one only.'
        )
    return numbers


def check_pair(train: LabelledImages, test: LabelledImages) -> None:
    """Refuse sets that differ in their classes or share images.

    Raises:
        ValueError: Naming the classes or images.
    """
    for one, other in ((train, test), (test, train)):
        alone = [name for name in one.classes if name not in other.classes]
        if alone:
            raise ValueError(
                f'{len(alone)} of {len(one.classes)} classes of '
                f'{one.description} are none of {other.description}: '
                f'{", ".join(alone[:10])}. Both need the same classes, under '
                'the same names.'
            )
    if train.classes != test.classes:
        raise ValueError(
            'Training and test images name the same classes in another '
            f'order: {", ".join(train.classes[:5])} and '
            f'{", ".join(test.classes[:5])}.'
        )
    real = {os.path.realpath(path) for path in train.paths if path}
    shared = [p for p in test.paths if p and os.path.realpath(p) in real]
    if shared:
        raise ValueError(
            f'{len(shared)} of {len(test)} test images are training images '
            f'too, first {shared[0]}: an accuracy on them would say nothing. '
            'Give folders that share none.'
        )
