# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""ImageNet-100 as a filter on an ImageNet folder."""

import json
import os
from pathlib import Path

from mmengine.fileio import get_file_backend, list_from_file
from mmpretrain.datasets import ImageNet
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from mmpretrain.datasets.custom import get_samples
from mmpretrain.registry import DATASETS

from pauc_mm.utils.checks import check_choice, listed

# The list of HobbitLong/CMC, imagenet100.txt (Y. Tian, D. Krishnan, P. Isola,
# Contrastive Multiview Coding, ECCV 2020), sorted.
_FILE = Path(__file__).with_suffix('.json')
IMAGENET100_CLASSES = tuple(json.loads(_FILE.read_text()).items())
"""WordNet id, and index among the 1000 sorted classes of ILSVRC 2012."""


@DATASETS.register_module()
class ImageNet100(ImageNet):
    """ImageNet-100 of CMC, read from ImageNet (ILSVRC 2012) in place.

    Nothing is copied: of ``train/<WordNet id>/...`` and
    ``val/<WordNet id>/...`` only the 100 folders of
    :data:`IMAGENET100_CLASSES` are read; others may be there or not. Where
    such folders are missing but ``meta/<split>.txt`` of mmpretrain's ImageNet
    is there (lines ``path label`` with labels of the 1000 classes), its lines
    of the 100 classes are taken; an ``ann_file`` that is named is always used.

    Labels are 0 to 99 in the order of the sorted WordNet ids, as any reader
    of class folders gives them to an extracted copy of the subset. The
    training part has 126,689 images in full ImageNet, validation 5,000.

    Args:
        data_root (str): The ImageNet folder.
        split (str): 'train' or 'val'.
        data_prefix (str | dict): Folder below it if it is not the split's
            name.
        ann_file (str): Annotation file with labels of the 1000 classes.
        **kwargs: Of mmpretrain's ``ImageNet``.

    Raises:
        FileNotFoundError: If the folder or some of the 100 are missing.
        ValueError: If the split is unknown or holds no image of theirs.
    """

    METAINFO = dict(
        classes=tuple(IMAGENET_CATEGORIES[i] for _, i in IMAGENET100_CLASSES)
    )

    def __init__(
        self,
        data_root: str = '',
        split: str = 'train',
        data_prefix: str | dict = '',
        ann_file: str = '',
        **kwargs,
    ) -> None:
        # The test part of ImageNet has no labels.
        check_choice('split', split, ('train', 'val'))
        self._explicit_ann_file = bool(ann_file)
        super().__init__(
            data_root=os.path.expanduser(data_root),
            split=split,
            data_prefix=data_prefix,
            ann_file=ann_file,
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """Collect ``img_path`` and ``gt_label`` of the 100 classes."""
        root = self.img_prefix
        backend = get_file_backend(root, enable_singleton=True)
        where = f'{os.path.abspath(root)} (data_root={self.data_root!r})'
        if not backend.isdir(root):
            raise FileNotFoundError(
                f'The ImageNet folder {where} does not exist. Set data_root '
                'to the folder that holds train and val.'
            )
        labels = {w: i for i, (w, _) in enumerate(IMAGENET100_CLASSES)}
        folders = {w: backend.join_path(root, w) for w in labels}
        missing = [w for w, path in folders.items() if not backend.isdir(path)]
        is_flat = self.ann_file and len(missing) == len(folders)
        if self._explicit_ann_file or is_flat:
            samples = self._read_annotations()
        elif missing:
            raise FileNotFoundError(
                f'{len(missing)} of the 100 class folders of ImageNet-100 '
                f'(the list of CMC) are missing in {where}: '
                f'{listed(missing)}. Use one folder a class, or images in one '
                'folder with meta/val.txt beside it. Other sources call '
                'another choice of classes ImageNet-100.'
            )
        else:
            samples, empty = get_samples(root, labels, self.is_valid_file)
            if empty:
                raise ValueError(
                    f'{len(empty)} class folders of {where} hold no image: '
                    f'{listed(sorted(empty))}.'
                )
        if not samples:
            raise ValueError(
                f'{self.ann_file} has no line of the 100 classes.'
            )
        return [
            dict(img_path=backend.join_path(root, path), gt_label=label)
            for path, label in samples
        ]

    def _read_annotations(self) -> list[tuple[str, int]]:
        """Lines of the annotation file whose label is one of the 100."""
        labels = {k: i for i, (_, k) in enumerate(IMAGENET100_CLASSES)}
        samples = []
        for number, line in enumerate(list_from_file(self.ann_file), 1):
            if not line.strip():
                continue
            path, _, label = line.strip().rpartition(' ')
            if not (path and label.isdecimal() and int(label) <= 999):
                raise ValueError(
                    f'{self.ann_file}, line {number}: {line!r} is not '
                    "'path label' with a label from 0 to 999."
                )
            if int(label) in labels:
                samples.append((path, labels[int(label)]))
        return samples
