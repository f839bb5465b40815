# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
from PIL import Image

from .scene import CLASSES, PALETTE, Scene


def voc_annotation(name: str, scene: Scene) -> str:
    """Return the content of a file of Annotations/.

    VOC counts pixels from 1 and includes the last one of a box.
    """
    height, width = scene.image.shape[:2]
    root = ET.Element('annotation')
    _add(root, folder='VOC2007', filename=name)
    size = ET.SubElement(root, 'size')
    _add(size, width=width, height=height, depth=3)
    _add(root, segmented=1)
    for instance in scene.instances:
        x, y, w, h = instance.box
        item = ET.SubElement(root, 'object')
        _add(item, name=CLASSES[instance.label], pose='Unspecified')
        _add(item, truncated=0, difficult=0)
        box = ET.SubElement(item, 'bndbox')
        _add(box, xmin=x + 1, ymin=y + 1, xmax=x + w, ymax=y + h)
    return ET.tostring(root, encoding='unicode') + '\n'


def voc_masks(scene: Scene) -> tuple[Image.Image, Image.Image]:
    """Return the images of SegmentationObject/ and SegmentationClass/.

    Returns:
        tuple[Image, Image]: Images of indices, 0 for the background: number
        of the digit in the order of the boxes, and its class + 1.
    """
    shape = scene.image.shape[:2]
    objects, classes = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for number, instance in enumerate(scene.instances, 1):
        objects[instance.mask] = number
        classes[instance.mask] = instance.label + 1
    # As many colours as a scene can have digits.
    colours = [0, 0, 0] + [v for c in PALETTE * 26 for v in c]
    result = []
    for indices in (objects, classes):
        image = Image.fromarray(indices)
        image.putpalette(colours[: 3 * 256])
        result.append(image)
    return result[0], result[1]


def _add(parent: ET.Element, **texts: object) -> None:
    for name, text in texts.items():
        ET.SubElement(parent, name).text = str(text)
