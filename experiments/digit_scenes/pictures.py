# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .scene import CLASSES, PALETTE, Scene

ZOOM, GAP = 3, 6


def contact_sheet(scenes: Sequence[Scene], columns: int = 4) -> Image.Image:
    """Draw scenes side by side with boxes, masks and classes, 3x enlarged."""
    pictures = [_draw(scene) for scene in scenes]
    side = pictures[0].width + GAP
    rows = -(-len(pictures) // columns)
    width = min(columns, len(pictures)) * side + GAP
    sheet = Image.new('RGB', (width, rows * side + GAP), 'white')
    for i, picture in enumerate(pictures):
        corner = (GAP + i % columns * side, GAP + i // columns * side)
        sheet.paste(picture, corner)
    return sheet


def _draw(scene: Scene) -> Image.Image:
    pixels = scene.image.astype(np.float32)
    for instance in scene.instances:
        colour = np.array(PALETTE[instance.label], np.float32)
        pixels[instance.mask] = 0.4 * pixels[instance.mask] + 0.6 * colour
    image = Image.fromarray(pixels.astype(np.uint8))
    side = ZOOM * image.width
    image = image.resize((side, side), Image.NEAREST)
    draw = ImageDraw.Draw(image)
    for instance in scene.instances:
        x, y, w, h = (ZOOM * v for v in instance.box)
        colour = PALETTE[instance.label]
        draw.rectangle((x, y, x + w - 1, y + h - 1), outline=colour)
        draw.text((x + 3, y + 1), CLASSES[instance.label], fill=colour)
    return image
