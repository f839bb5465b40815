# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
from PIL import Image

# Two colours of a background and the ink: always lighter, as in MNIST.
DARK, LIGHT = (10, 120), (170, 256)


def draw_texture(rng: np.random.RandomState, size: int) -> np.ndarray:
    """Draw a dark background: two colours mixed by a pattern, fine noise.

    The pattern is smooth noise, a gradient, stripes, or blobs of two scales.
    Returns float32 in [0, 255], shape (size, size, 3).
    """
    kind = (_noise, _gradient, _stripes, _blobs)[rng.randint(4)]
    share = kind(rng, size)[:, :, None]
    first, second = (rng.randint(*DARK, size=3) for _ in range(2))
    image = first * share + second * (1 - share)
    image = image + rng.normal(0, rng.uniform(0, 8), (size, size, 1))
    return image.clip(0, 255).astype(np.float32)


def draw_ink(rng: np.random.RandomState) -> np.ndarray:
    """Draw a colour lighter than every background, shape (3,)."""
    return rng.randint(*LIGHT, size=3).astype(np.float32)


def _noise(rng: np.random.RandomState, size: int, cells=None) -> np.ndarray:
    cells = cells or rng.randint(3, 17)
    coarse = rng.uniform(0, 1, (cells, cells)).astype(np.float32)
    smooth = Image.fromarray(coarse).resize((size, size), Image.BICUBIC)
    return np.asarray(smooth).clip(0, 1)


def _along(rng: np.random.RandomState, size: int) -> np.ndarray:
    """Return coordinates along a random direction, in shares of the side."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:size, :size] / size - 0.5
    return np.cos(angle) * x + np.sin(angle) * y


def _gradient(rng: np.random.RandomState, size: int) -> np.ndarray:
    ramp = _along(rng, size)
    return (ramp - ramp.min()) / np.ptp(ramp)


def _stripes(rng: np.random.RandomState, size: int) -> np.ndarray:
    waves = rng.uniform(2, size / 8)
    phase = rng.uniform(0, 2 * np.pi)
    wave = np.sin(2 * np.pi * waves * _along(rng, size) + phase)
    sharpness = rng.uniform(1, 6)
    return 0.5 + 0.5 * np.tanh(sharpness * wave) / np.tanh(sharpness)


def _blobs(rng: np.random.RandomState, size: int) -> np.ndarray:
    coarse = _noise(rng, size, rng.randint(3, 7))
    fine = _noise(rng, size, rng.randint(12, 33))
    return 0.6 * coarse + 0.4 * fine
