# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Pascal VOC as a multi-label classification task."""

from pathlib import Path

import numpy as np
from mmpretrain.datasets import BaseDataset

LAYOUT = (
    'VOC2007/ImageSets/Main/CLASS_trainval.txt and CLASS_test.txt for each '
    'class, and VOC2007/JPEGImages/ID.jpg'
)


class VOCClassification(BaseDataset):
    """One split of a folder in the layout of Pascal VOC.

    The labels are those of the challenge, from ``ImageSets/Main``: an image
    has a class (1), has it not (-1), or shows it in difficult examples only
    (0), in which case Goyal et al. and the challenge leave it out of this
    class. The classes are those that have a list, in alphabetical order; any
    folder of this layout will do.

    Args:
        root (str): The folder ``VOC2007``, or one or two above it.
        split (str): 'train', 'val', 'trainval' or 'test'.
        pipeline (sequence of dict): Transforms of an image.

    Attributes:
        targets (ndarray): Shape (N, K), 1, -1 or 0, int8.
        image_paths (list[str]): Files of the N images.

    Raises:
        FileNotFoundError: If the folder, a list or an image is missing.
        ValueError: If a list is malformed or lists differ in their images.
    """

    def __init__(self, root: str, split: str, pipeline=()) -> None:
        self.folder = find_voc(root)
        self.split = split
        ids, names, self.targets = read_lists(self.folder, split)
        images = self.folder / 'JPEGImages'
        present = {path.stem for path in images.glob('*.jpg')}
        missing = [i for i in ids if i not in present]
        if missing:
            raise FileNotFoundError(
                f'{len(missing)} of {len(ids)} listed images are missing in '
                f"'{images}', first {missing[0]}.jpg."
            )
        self.image_paths = [str(images / f'{i}.jpg') for i in ids]
        super().__init__(
            ann_file='', metainfo=dict(classes=names), pipeline=list(pipeline)
        )

    def load_data_list(self) -> list[dict]:
        """Return ``img_path`` of each sample."""
        return [dict(img_path=path) for path in self.image_paths]


def find_voc(root: str) -> Path:
    """Find ``VOC2007``, which holds ``ImageSets/Main``, at or below a root.

    Raises:
        FileNotFoundError: If there is none; the message shows the layout.
    """
    base = Path(root).expanduser()
    for below in ('', 'VOC2007', 'VOCdevkit/VOC2007'):
        if (base / below / 'ImageSets' / 'Main').is_dir():
            return base / below
    if not base.is_dir():
        raise FileNotFoundError(f"There is no folder '{root}'.")
    names = sorted(path.name for path in base.iterdir())[:6]
    raise FileNotFoundError(
        f"'{root}' is not laid out as Pascal VOC. It must hold {LAYOUT}; "
        f'it holds {", ".join(names) or "nothing"}.'
    )


def read_lists(
    folder: Path, split: str
) -> tuple[list[str], list[str], np.ndarray]:
    """Read the list of each class of a split, such as 'trainval'.

    The names of the N images and of the K classes are sorted; the labels are
    (N, K), int8.

    Raises:
        FileNotFoundError: If there is no list.
        ValueError: If a line is malformed, or lists differ in their images.
    """
    lists = folder / 'ImageSets' / 'Main'
    end = f'_{split}'
    files = sorted(f for f in lists.glob(f'*{end}.txt') if f.stem != end)
    if not files:
        raise FileNotFoundError(
            f"There is no list CLASS{end}.txt in '{lists}'. The test images "
            'and lists of VOC2007 are a download of their own, '
            'VOCtest_06-Nov-2007.tar.'
        )
    columns = [_read_list(file) for file in files]
    ids = sorted(columns[0])
    for file, column in zip(files, columns):
        if differ := sorted(set(ids) ^ set(column)):
            raise ValueError(
                f"'{files[0]}' and '{file.name}' list different images "
                f'({len(differ)}, first {differ[0]}): every class has a '
                'label for every image of the split.'
            )
    targets = [[column[i] for column in columns] for i in ids]
    names = [file.stem.removesuffix(end) for file in files]
    return ids, names, np.array(targets, np.int8)


def _read_list(file: Path) -> dict[str, int]:
    labels: dict[str, int] = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not (words := line.split()):
            continue
        where = f"'{file}', line {number}"
        if len(words) != 2 or words[1] not in ('1', '-1', '0'):
            raise ValueError(
                f'{where}: expected the name of an image and 1, -1 or 0, '
                f"such as '000005 -1', got '{line.strip()}'."
            )
        if words[0] in labels:
            raise ValueError(f'{where}: image {words[0]} is listed twice.')
        labels[words[0]] = int(words[1])
    if not labels:
        raise ValueError(f"'{file}' lists no image.")
    return labels
