# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .settings import SceneSettings
from .textures import draw_ink, draw_texture

CLASSES = tuple('0123456789')
PALETTE = (
    (230, 25, 75),
    (60, 180, 75),
    (255, 225, 25),
    (0, 130, 200),
    (245, 130, 48),
    (145, 30, 180),
    (70, 240, 240),
    (240, 50, 230),
    (210, 245, 60),
    (250, 190, 212),
)
# A pixel belongs to a digit from this share of its strongest ink on.
INK = 0.4
MIN_VISIBLE = 0.75
ATTEMPTS = 40


@dataclass
class Instance:
    """Digit of a scene.

    Args:
        label (int): 0 to 9.
        source (int): Index of the image among the 5,000.
        mask (np.ndarray): Visible pixels, bool, shape (size, size).
    """

    label: int
    source: int
    mask: np.ndarray

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Tightest x, y, width and height around the mask."""
        ys, xs = np.nonzero(self.mask)
        x, y = int(xs.min()), int(ys.min())
        return x, y, int(xs.max()) + 1 - x, int(ys.max()) + 1 - y


@dataclass
class Scene:
    """Image and its digits, the last on top.

    Args:
        image (np.ndarray): RGB, uint8, shape (size, size, 3).
        instances (list[Instance]): Digits; their masks do not overlap.
    """

    image: np.ndarray
    instances: list[Instance]


def compose_scene(
    rng: np.random.RandomState,
    settings: SceneSettings,
    images: np.ndarray,
    labels: np.ndarray,
    indices: np.ndarray,
    empty: bool = False,
) -> Scene:
    """Put digits on a background.

    Args:
        rng (RandomState): Source of all draws. NumPy has frozen its stream,
            so that a seed gives the same scene tomorrow.
        settings (SceneSettings): Sizes and numbers.
        images (np.ndarray): All digits, white on black, uint8, (N, H, W).
        labels (np.ndarray): Their classes, int, shape (N,).
        indices (np.ndarray): Digits that may be used, int, shape (n,).
        empty (bool): Whether to place none. Defaults to False.

    Returns:
        Scene: With at least one digit unless ``empty``.
    """
    canvas = draw_texture(rng, settings.size)
    low, high = settings.digits
    wanted = 0 if empty else rng.randint(low, high + 1)
    frames: list[tuple[int, int, int]] = []
    placed: list[Instance] = []
    inks: list[int] = []  # pixels of each before any is covered
    for source in rng.choice(indices, wanted):
        for _ in range(ATTEMPTS):
            frame = _draw_frame(rng, settings)
            alpha = _resize(images[source], frame, settings.size)
            mask = alpha >= INK
            left = [other.mask & ~mask for other in placed]
            if _fits(frame, frames, settings.max_overlap) and all(
                rest.sum() >= MIN_VISIBLE * ink
                for rest, ink in zip(left, inks)
            ):
                break
        else:
            continue  # no room for this one
        for other, rest in zip(placed, left):
            other.mask = rest
        share = alpha[:, :, None]
        canvas = canvas * (1 - share) + draw_ink(rng) * share
        frames.append(frame)
        placed.append(Instance(int(labels[source]), int(source), mask))
        inks.append(mask.sum())
    return Scene(canvas.round().astype(np.uint8), placed)


def _draw_frame(
    rng: np.random.RandomState, settings: SceneSettings
) -> tuple[int, int, int]:
    """Draw left, top and side of the square of a digit's image."""
    low, high = settings.digit_size
    side = rng.randint(low, high + 1)
    x, y = rng.randint(0, settings.size - side + 1, size=2)
    return int(x), int(y), int(side)


def _resize(
    digit: np.ndarray, frame: tuple[int, int, int], size: int
) -> np.ndarray:
    """Return the ink of each pixel in [0, 1], shape (size, size)."""
    x, y, side = frame
    small = Image.fromarray(digit).resize((side, side), Image.BICUBIC)
    ink = np.asarray(small, dtype=np.float32)
    alpha = np.zeros((size, size), np.float32)
    # Thin strokes lose height when they are made smaller.
    alpha[y : y + side, x : x + side] = ink / ink.max()
    return alpha


def _fits(
    frame: tuple[int, int, int],
    others: list[tuple[int, int, int]],
    max_overlap: float,
) -> bool:
    x, y, side = frame
    for ox, oy, oside in others:
        width = min(x + side, ox + oside) - max(x, ox)
        height = min(y + side, oy + oside) - max(y, oy)
        smaller = min(side, oside) ** 2
        if max(width, 0) * max(height, 0) > max_overlap * smaller:
            return False
    return True
