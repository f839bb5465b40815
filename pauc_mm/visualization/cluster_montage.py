# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw images nearest to fine prototypes beside their coarse cluster."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .style import new_figure, save

# In pixels and inches, at 130 dots an inch.
_TILE = 88
_TILE_IN = 0.66
_GAP_IN = 0.06
_CAPTION_IN = 1.9
_BETWEEN_IN = 0.3
_GROUP_IN = 0.34
_HEAD_IN = 0.68


@dataclass(frozen=True)
class ClusterRow:
    """Images of one fine prototype.

    Attributes:
        caption (str): Name and description of the prototype.
        images (sequence of ndarray): Its nearest images, nearest first, each
            (H, W, 3), uint8, RGB, of any size.
        coarse_images (sequence of ndarray): Other images of its coarse
            cluster.
        coarse (str): Name of the coarse cluster; rows with the same name are
            grouped.
    """

    caption: str
    images: Sequence[np.ndarray]
    coarse_images: Sequence[np.ndarray] = ()
    coarse: str = ''


def plot_cluster_montage(rows: Sequence[ClusterRow], path: str | Path) -> Path:
    """Draw one row a fine prototype, grouped by coarse cluster.

    Follows figure 6 of `PCL <https://arxiv.org/abs/2005.04966>`_: on the left
    the images nearest to the prototype, on the right others of its coarse
    cluster. Groups keep the order of the rows, and the figure grows with them.

    Args:
        rows (sequence of ClusterRow): At least one.
        path (str or Path): File to write; its folder is made.
    """
    groups: dict[str, list[ClusterRow]] = {}
    for row in rows:
        groups.setdefault(row.coarse, []).append(row)
    left = max(len(row.images) for row in rows)
    right = max(len(row.coarse_images) for row in rows)
    cell = _TILE_IN + _GAP_IN
    width = _CAPTION_IN + left * cell + 0.15
    if right:
        width += _BETWEEN_IN + right * cell
    named = sum(bool(name) for name in groups)
    height = _HEAD_IN + len(rows) * cell + named * _GROUP_IN + 0.1
    figure = new_figure(max(width, 5.0), height)
    figure.set_layout_engine('none')
    page = _Page(figure)
    title = 'Images nearest to the prototypes'
    page.text(0.15, 0.08, title, size=12, va='top')
    start = _CAPTION_IN + left * cell + _BETWEEN_IN
    page.text(_CAPTION_IN, _HEAD_IN - 0.1, 'nearest to the prototype')
    if right:
        page.text(start, _HEAD_IN - 0.1, 'others of its coarse cluster')
    top = _HEAD_IN
    for name, members in groups.items():
        if name:
            page.band(top + 0.04, _GROUP_IN - 0.08)
            middle = top + _GROUP_IN / 2
            page.text(0.15, middle, name, weight='bold', va='center')
            top += _GROUP_IN
        for row in members:
            caption = '\n'.join(textwrap.wrap(row.caption, 26)[:4])
            page.text(0.15, top + _TILE_IN / 2, caption, va='center', size=8)
            page.images(_CAPTION_IN, top, row.images)
            page.images(start, top, row.coarse_images)
            top += cell
    return save(figure, path)


class _Page:
    """A figure addressed in inches from its upper left corner."""

    def __init__(self, figure) -> None:
        self.figure = figure
        self.width, self.height = figure.get_size_inches()

    def text(self, x: float, y: float, text: str, size=9, **options) -> None:
        options = {'va': 'bottom', **options}
        x, y = x / self.width, 1 - y / self.height
        self.figure.text(x, y, text, size=size, **options)

    def _axes(self, x: float, y: float, width: float, height: float):
        w, h = self.width, self.height
        place = (x / w, 1 - (y + height) / h, width / w, height / h)
        axis = self.figure.add_axes(place)
        axis.set_axis_off()
        return axis

    def band(self, y: float, height: float) -> None:
        axis = self._axes(0.1, y, self.width - 0.2, height)
        axis.imshow([[0.9]], cmap='gray', vmin=0, vmax=1, aspect='auto')

    def images(self, x: float, y: float, images: Sequence) -> None:
        for i, image in enumerate(images):
            left = x + i * (_TILE_IN + _GAP_IN)
            axis = self._axes(left, y, _TILE_IN, _TILE_IN)
            axis.imshow(letterbox(image), interpolation='antialiased')


def letterbox(image: np.ndarray, side: int = _TILE) -> np.ndarray:
    """Fit an image (H, W, 3), uint8, undistorted into a light grey square."""
    from PIL import Image, ImageOps

    # Blocks show the pixels that the network gets of a small image.
    small = max(image.shape[:2]) <= side // 2
    method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    picture = Image.fromarray(np.ascontiguousarray(image))
    grey = (225, 225, 225)
    return np.asarray(ImageOps.pad(picture, (side, side), method, grey))
