# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from .annotation_problems import Problems

# Boxes of COCO are rounded outlines: they touch the border, and a rounding
# beyond it is no mistake. Converters that count pixels from 1 add another.
TOLERANCE = 2.0
# mmdet leaves boxes without area out. COCO itself has a few among hundreds
# of thousands; where they are more, something was converted wrongly.
MAX_FLAT = 1e-4


class AnnotationNames:
    """Names annotations in messages.

    Args:
        annotations (list[dict]): Of COCO.
        images (list[dict]): Of COCO.
        where (np.ndarray): Position of the image of each annotation, -1 for
            none, int64, shape (N,).
    """

    def __init__(
        self, annotations: list[dict], images: list[dict], where: np.ndarray
    ) -> None:
        self.annotations, self.images = annotations, images
        self.where = where

    def __call__(self, wrong: np.ndarray) -> list[str]:
        """What the annotations that are marked are, shape (N,), bool."""
        return [self._name(i) for i in np.flatnonzero(wrong)]

    def _name(self, i: int) -> str:
        own = self.annotations[i]
        image = f'image {own["image_id"]}'
        if self.where[i] >= 0:
            entry = self.images[self.where[i]]
            image += (
                f' ({entry["file_name"]}, {entry["width"]} x '
                f'{entry["height"]})'
            )
        return (
            f'annotation {own["id"]} of {image}, category '
            f'{own["category_id"]}, box {own["bbox"]}'
        )


def check_boxes(
    annotations: list[dict],
    images: list[dict],
    where: np.ndarray,
    tell: AnnotationNames,
    problems: Problems,
    training: bool = True,
) -> None:
    """Adds what is wrong with boxes.

    Args:
        annotations (list[dict]): Of COCO.
        images (list[dict]): Of COCO.
        where (np.ndarray): Position of the image of each annotation, -1 for
            none, int64, shape (N,).
        tell (AnnotationNames): Of the same.
        problems (Problems): Added to.
        training (bool): Whether it is told how many boxes mmdet leaves out
            of the training. Defaults to True.
    """
    boxes = np.full((len(annotations), 4), np.nan)
    try:
        if annotations:
            boxes[:] = [a['bbox'] for a in annotations]
    except (ValueError, TypeError):  # one of them is not four numbers
        for i, annotation in enumerate(annotations):
            try:
                boxes[i] = np.array(annotation['bbox'], float).reshape(4)
            except (ValueError, TypeError):
                continue
    sizes = np.array([(i['width'], i['height']) for i in images], float)
    low, extent = boxes[:, :2], boxes[:, 2:]
    high, border = low + extent, sizes[where]
    number = np.isfinite(boxes).all(1)
    problems.add(
        tell(~number | (extent < 0).any(1)),
        'boxes are not four numbers [x, y, width, height]',
        'The last two are a width and a height, not a corner; correct or '
        'remove them.',
    )
    flat = number & (extent >= 0).all(1) & (extent == 0).any(1)
    if flat.sum() > MAX_FLAT * len(annotations):
        problems.add(
            tell(flat),
            'boxes have no area',
            'Correct or remove them: they cannot be learnt.',
        )
    thin = number & (extent >= 0).all(1) & (extent < 1).any(1)
    area = np.array([float(a['area']) for a in annotations])
    left_out = thin | (number & (area <= 0))
    if training and left_out.any():
        problems.notes.append(
            f"'{problems.source}': mmdet leaves {left_out.sum()} of the "
            f'{len(annotations)} boxes out of the training, which are less '
            'than a pixel wide or high, or have an area of 0.'
        )
    outside = (low < -TOLERANCE) | (high > border + TOLERANCE)
    outside |= (extent > 0) & ((high <= 0) | (low >= border))
    problems.add(
        tell(number & (extent >= 0).all(1) & (where >= 0) & outside.any(1)),
        f'boxes are more than {TOLERANCE:g} pixels outside of their image',
        'Boxes are [x, y, width, height] in pixels of the image as it is '
        'listed; correct or remove them.',
    )
