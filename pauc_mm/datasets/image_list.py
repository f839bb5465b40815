# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Lists of labelled images, from a folder of classes or a file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pauc_mm.utils.files import write_text
from pauc_mm.utils.progress import progress

from .image_scan import EXTENSIONS, list_images, warn_of_left_out


@dataclass(frozen=True)
class ImageList:
    """Paths of images and their classes."""

    source: str  # folder or file that lists them, for messages
    paths: list[str]  # N, with forward slashes
    labels: np.ndarray  # indices into classes, int64, shape (N,)
    classes: list[str]

    def counts(self) -> np.ndarray:
        """Count the images of each class, int64, shape (K,)."""
        return np.bincount(self.labels, minlength=len(self.classes))

    def take(self, rows: Sequence[int]) -> ImageList:
        """Return the images of some rows, in their order, with all classes."""
        rows = np.asarray(rows, dtype=np.int64)
        paths = [self.paths[row] for row in rows]
        return ImageList(self.source, paths, self.labels[rows], self.classes)


def read_class_folders(root: str) -> ImageList:
    """List a folder with one sub-folder for each class.

    Labels number the sorted names of the classes, as in mmpretrain. Paths are
    relative to the folder, sorted by class and path.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It has no sub-folders, or images beside them, or is the
            one above the classes.
    """
    if not os.path.isdir(root):
        raise FileNotFoundError(
            f"There is no folder '{root}' (current folder: {os.getcwd()})."
        )
    folders = (entry for entry in Path(root).iterdir() if entry.is_dir())
    names = sorted(f.name for f in folders if not f.name.startswith('.'))
    if not names:
        raise ValueError(
            f"'{root}' has no sub-folders: one a class is expected, "
            f'{os.path.join(root, "CLASS", "IMAGE.jpg")}.'
        )
    if {'train', 'val'} <= set(names):
        raise ValueError(
            f"'{root}' holds train and val, which are no classes: give "
            f"'{os.path.join(root, 'train')}'."
        )
    own = [f for f in os.listdir(root) if f.lower().endswith(EXTENSIONS)]
    if loose := [f for f in sorted(own) if not f.startswith('.')]:
        raise ValueError(
            f"'{root}' itself has {len(loose)} images, which are of no class, "
            f"such as '{loose[0]}': move them into a sub-folder."
        )
    paths: list[str] = []
    labels: list[int] = []
    left_out: Counter[str] = Counter()
    for label, name in enumerate(progress(names, 'Listing classes')):
        files = list_images(os.path.join(root, name), left_out=left_out)
        paths += [f'{name}/{file}' for file in files]
        labels += [label] * len(files)
    warn_of_left_out(root, left_out)
    return ImageList(root, paths, np.array(labels, np.int64), names)


def read_annotations(file: str) -> ImageList:
    """Read a list with lines ``path label``, mmpretrain's annotation file.

    Between the two are spaces or a tab. The classes are the labels from 0 to
    the highest one.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is malformed or an image is listed twice.
    """
    paths, labels, numbers = [], [], []
    for number, line in read_lines(file):
        path, label = (line.rsplit(maxsplit=1) + [''])[:2]
        if not label.isdecimal():
            raise ValueError(
                f"'{file}', line {number}: expected 'path label' with a label "
                f"such as 'n01440764/n01440764_18.JPEG 0', not '{line}'."
            )
        numbers.append(number)
        paths.append(path)
        labels.append(int(label))
    _check_unique(file, paths, numbers)
    classes = [f'label {i}' for i in range(max(labels) + 1)]
    return ImageList(file, paths, np.array(labels, np.int64), classes)


def read_paths(file: str) -> list[str]:
    """Read a list with one path a line; raises as :func:`read_annotations`."""
    numbers, paths = zip(*read_lines(file))
    _check_unique(file, paths, numbers)
    return list(paths)


def _check_unique(
    file: str, paths: Sequence[str], numbers: Sequence[int]
) -> None:
    first: dict[str, int] = {}
    for path, number in zip(paths, numbers):
        if first.setdefault(path, number) != number:
            raise ValueError(
                f"'{file}': image '{path}' is listed twice, in lines "
                f'{first[path]} and {number}.'
            )


def read_lines(file: str) -> list[tuple[int, str]]:
    """Read the lines of a text that are not blank, stripped, counted from 1.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not UTF-8 text or has no lines.
    """
    if not os.path.isfile(file):
        raise FileNotFoundError(
            f"There is no list '{file}' (current folder: {os.getcwd()})."
        )
    # File names are bytes: those that are no UTF-8 stay what they are.
    text = Path(file).read_text('utf-8-sig', 'surrogateescape')
    if '\0' in text:
        raise ValueError(f"'{file}' is not UTF-8 text.")
    lines = enumerate(map(str.strip, text.split('\n')), 1)
    numbered = [(number, line) for number, line in lines if line]
    if not numbered:
        raise ValueError(f"'{file}' lists no image.")
    return numbered


def write_annotations(images: ImageList, file: str) -> None:
    """Write a list that mmpretrain reads as ``ann_file``, and its folder."""
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (f'{p} {label}\n' for p, label in zip(images.paths, images.labels))
    write_text(path, ''.join(lines))
