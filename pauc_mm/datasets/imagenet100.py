# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""ImageNet-100 as a filter on an ImageNet folder."""

from __future__ import annotations

import os

from mmengine.fileio import get_file_backend, list_from_file
from mmpretrain.datasets import ImageNet
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from mmpretrain.datasets.custom import get_samples
from mmpretrain.registry import DATASETS

_SHOWN = 10

# The list of HobbitLong/CMC, imagenet100.txt (Y. Tian, D. Krishnan, P. Isola,
# Contrastive Multiview Coding, ECCV 2020), sorted.
# fmt: off
IMAGENET100_CLASSES = (
    ('n01558993', 15), ('n01692333', 45), ('n01729322', 54),
    ('n01735189', 57), ('n01749939', 64), ('n01773797', 74),
    ('n01820546', 90), ('n01855672', 99), ('n01978455', 119),
    ('n01980166', 120), ('n01983481', 122), ('n02009229', 131),
    ('n02018207', 137), ('n02085620', 151), ('n02086240', 155),
    ('n02086910', 157), ('n02087046', 158), ('n02089867', 166),
    ('n02089973', 167), ('n02090622', 169), ('n02091831', 176),
    ('n02093428', 180), ('n02099849', 209), ('n02100583', 211),
    ('n02104029', 222), ('n02105505', 228), ('n02106550', 234),
    ('n02107142', 236), ('n02108089', 242), ('n02109047', 246),
    ('n02113799', 267), ('n02113978', 268), ('n02114855', 272),
    ('n02116738', 275), ('n02119022', 277), ('n02123045', 281),
    ('n02138441', 299), ('n02172182', 305), ('n02231487', 313),
    ('n02259212', 317), ('n02326432', 331), ('n02396427', 342),
    ('n02483362', 368), ('n02488291', 374), ('n02701002', 407),
    ('n02788148', 421), ('n02804414', 431), ('n02859443', 449),
    ('n02869837', 452), ('n02877765', 455), ('n02974003', 479),
    ('n03017168', 494), ('n03032252', 498), ('n03062245', 503),
    ('n03085013', 508), ('n03259280', 544), ('n03379051', 560),
    ('n03424325', 570), ('n03492542', 592), ('n03494278', 593),
    ('n03530642', 599), ('n03584829', 606), ('n03594734', 608),
    ('n03637318', 619), ('n03642806', 620), ('n03764736', 653),
    ('n03775546', 659), ('n03777754', 662), ('n03785016', 665),
    ('n03787032', 667), ('n03794056', 674), ('n03837869', 682),
    ('n03891251', 703), ('n03903868', 708), ('n03930630', 717),
    ('n03947888', 724), ('n04026417', 748), ('n04067472', 758),
    ('n04099969', 765), ('n04111531', 766), ('n04127249', 772),
    ('n04136333', 775), ('n04229816', 796), ('n04238763', 798),
    ('n04336792', 830), ('n04418357', 854), ('n04429376', 857),
    ('n04435653', 858), ('n04485082', 872), ('n04493381', 876),
    ('n04517823', 882), ('n04589890', 904), ('n04592741', 908),
    ('n07714571', 936), ('n07715103', 938), ('n07753275', 953),
    ('n07831146', 959), ('n07836838', 960), ('n13037406', 993),
    ('n13040303', 994),
)
"""WordNet id, and index among the 1000 sorted classes of ILSVRC 2012."""
# fmt: on


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
        data_root (str): The ImageNet folder. Defaults to ''.
        split (str): 'train' or 'val'. Defaults to 'train'.
        data_prefix (str | dict): Folder below it if it is not the split's
            name. Defaults to ''.
        ann_file (str): Annotation file with labels of the 1000 classes.
            Defaults to ''.
        **kwargs: Of mmpretrain's ``ImageNet``.

    Raises:
        FileNotFoundError: If the folder or some of the 100 are missing.
        ValueError: If the split is unknown or holds no image of theirs.
    """

    METAINFO = {
        'classes': tuple(
            IMAGENET_CATEGORIES[i] for _, i in IMAGENET100_CLASSES
        )
    }

    def __init__(
        self,
        data_root: str = '',
        split: str = 'train',
        data_prefix: str | dict = '',
        ann_file: str = '',
        **kwargs,
    ) -> None:
        if split not in ('train', 'val'):
            raise ValueError(
                f"split={split!r} is unknown: ImageNet-100 has 'train' and "
                "'val' (the test part of ImageNet has no labels)."
            )
        self._explicit_ann_file = bool(ann_file)
        super().__init__(
            data_root=os.path.expanduser(data_root),
            split=split,
            data_prefix=data_prefix,
            ann_file=ann_file,
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """Collect the images of the 100 classes.

        Returns:
            list[dict]: ``img_path`` and ``gt_label`` (0 to 99).
        """
        root = self.img_prefix
        backend = get_file_backend(root, enable_singleton=True)
        where = f'{os.path.abspath(root)} (data_root={self.data_root!r})'
        if not backend.isdir(root):
            raise FileNotFoundError(
                f'The ImageNet folder {where} does not exist. Set data_root '
                'to the folder that holds train and val.'
            )
        missing = [
            wnid
            for wnid, _ in IMAGENET100_CLASSES
            if not backend.isdir(backend.join_path(root, wnid))
        ]
        if self._explicit_ann_file or (
            self.ann_file and len(missing) == len(IMAGENET100_CLASSES)
        ):
            samples = self._read_annotations()
        elif missing:
            raise FileNotFoundError(
                f'{len(missing)} of the 100 class folders of ImageNet-100 '
                f'(the list of CMC) are missing in {where}: '
                + ', '.join(missing[:_SHOWN])
                + (', ...' if len(missing) > _SHOWN else '')
                + '. Use one folder a class, or images in one folder with '
                'meta/val.txt beside it. Other sources call another choice '
                'of classes ImageNet-100.'
            )
        else:
            samples, empty = get_samples(
                root,
                {w: i for i, (w, _) in enumerate(IMAGENET100_CLASSES)},
                self.is_valid_file,
            )
            if empty:
                raise ValueError(
                    f'{len(empty)} class folders of {where} hold no image: '
                    + ', '.join(sorted(empty)[:_SHOWN])
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
            if not path or not label.isdigit() or int(label) > 999:
                raise ValueError(
                    f'{self.ann_file}, line {number}: {line!r} is not '
                    "'path label' with a label from 0 to 999."
                )
            if int(label) in labels:
                samples.append((path, labels[int(label)]))
        return samples
