# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Subsets of labelled images, drawn by a seed or from a published list."""

import numpy as np

from pauc_mm.utils.checks import check_integer, listed

from .image_list import ImageList, read_lines


def draw_rows(
    labels: np.ndarray,
    fraction: float | None = None,
    per_class: int | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Draw the same share, or the same number, of the images of each class.

    ``fraction`` takes fraction * n of n images of a class, rounded half up,
    but at least one. The draw of a class depends only on the seed, its label
    and n, so that smaller subsets of one seed are contained in larger ones.
    The stream of NumPy's legacy ``RandomState`` is frozen. Labels (N,) are the
    classes of the images; ``per_class`` is the number, in place of a share.

    Returns:
        ndarray: Ascending indices, int64, shape (n,).

    Raises:
        ValueError: Both or neither are given, one is out of range, or a
            class has fewer than ``per_class`` images.
    """
    if (fraction is None) == (per_class is None):
        raise ValueError('Give either fraction or per_class.')
    if fraction is not None and not 0 < fraction <= 1:
        raise ValueError(f'fraction={fraction!r} must be above 0, at most 1.')
    if per_class is not None:
        check_integer('per_class', per_class, 1)
    if not 0 <= seed < 2**32:
        raise ValueError(f'seed={seed!r} must be from 0 to 2**32 - 1.')
    labels = np.asarray(labels)
    order = np.argsort(labels, kind='stable')
    kinds, starts = np.unique(labels[order], return_index=True)
    drawn = []
    for label, rows in zip(kinds, np.split(order, starts[1:])):
        count = per_class
        if count is None:
            count = max(1, int(np.floor(fraction * len(rows) + 0.5)))
        if count > len(rows):
            raise ValueError(
                f'Class {label} has {len(rows)} images, fewer than {count}.'
            )
        rng = np.random.RandomState([seed, int(label)])
        drawn.append(rows[rng.permutation(len(rows))[:count]])
    return np.sort(np.concatenate(drawn)) if drawn else order


def check_classes(images: ImageList, minimum: int) -> None:
    """Refuse a list in which a class has fewer images than ``minimum``.

    Raises:
        ValueError: Naming the classes and their counts.
    """
    counts = zip(images.classes, images.counts())
    few = [f'{name} ({count})' for name, count in counts if count < minimum]
    if few:
        raise ValueError(
            f'{len(few)} of the {len(images.classes)} classes of '
            f"'{images.source}' have fewer than {minimum} images: "
            f'{listed(few, 5)}.'
        )


def select_listed(images: ImageList, file: str) -> ImageList:
    """Take the images that a published list names.

    A line is the name of an image file (``n01440764_18.JPEG``, as in SimCLR's
    1percent.txt and 10percent.txt), a path below the folder of the classes,
    or either with a label, which is then compared. The listed images are
    returned in the order of ``images``.

    Raises:
        FileNotFoundError: There is no such list.
        ValueError: It names images that do not exist, several times, with
            another label, or by a name that several images share.
    """
    lines = read_lines(file)
    names = {line for _, line in lines}
    names |= {_split(line)[0] for _, line in lines}
    rows: dict[str, list[int]] = {}
    for row, path in enumerate(images.paths):
        for name in {path, path.rpartition('/')[2]} & names:
            rows.setdefault(name, []).append(row)
    unknown, repeated, relabelled, ambiguous = [], [], [], []
    line_of_row: dict[int, int] = {}
    for number, line in lines:
        name, label = (line, None) if line in rows else _split(line)
        matches = rows.get(name, [])
        # A path takes precedence over files of that name in sub-folders.
        matches = [r for r in matches if images.paths[r] == name] or matches
        if not matches:
            unknown.append(name)
        elif len(matches) > 1:
            same = ' and '.join(images.paths[r] for r in matches[:2])
            ambiguous.append(f'{name} ({same})')
        elif matches[0] in line_of_row:
            first = line_of_row[matches[0]]
            repeated.append(f'{name} (lines {first} and {number})')
        else:
            line_of_row[matches[0]] = number
            folder_label = int(images.labels[matches[0]])
            if label not in (None, folder_label):
                relabelled.append(f'{name} ({label}, not {folder_label})')
    for bad, problem in (
        (unknown, f"are not in '{images.source}'"),
        (repeated, 'are listed more than once'),
        (ambiguous, 'are names of several images; write paths'),
        (relabelled, 'have another label than by their folder'),
    ):
        if bad:
            raise ValueError(
                f"{len(bad)} of the {len(lines)} images of '{file}' {problem}:"
                f' {listed(bad, 5)}.'
            )
    return images.take(sorted(line_of_row))


def _split(line: str) -> tuple[str, int | None]:
    name, _, label = line.rpartition(' ')
    return (name, int(label)) if name and label.isdecimal() else (line, None)
