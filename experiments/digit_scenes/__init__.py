# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Scenes of real handwritten digits, with boxes and masks.

A small set for detection and segmentation in the formats of COCO and VOC; all
draws depend on its seed.
"""

from .coco_form import coco_annotations
from .pictures import contact_sheet
from .scene import CLASSES, PALETTE, Instance, Scene, compose_scene
from .settings import SceneSettings
from .voc_form import voc_annotation
from .writer import write_scenes

__all__ = [
    'CLASSES',
    'PALETTE',
    'Instance',
    'Scene',
    'SceneSettings',
    'coco_annotations',
    'compose_scene',
    'contact_sheet',
    'voc_annotation',
    'write_scenes',
]
