# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The shipped recipes by name, read once."""

import copy
import functools
import os
import zlib
from pathlib import Path

import mmpretrain
import numpy as np
from mmengine.config import Config
from PIL import Image

import pauc_mm  # noqa: F401

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs'
MMPRETRAIN = Path(mmpretrain.__file__).parent / '.mim/configs'
# Those below benchmarks/ have tests of their own.
RECIPES = {
    path.stem: path
    for path in sorted(CONFIGS.glob('*/*.py'))
    if path.parent.name not in ('_base_', 'benchmarks')
}
VARIABLES = (
    *('DATA_ROOT', 'IMAGE_SIZE', 'CORRUPT'),
    *('IMAGENET_ROOT', 'FASHION_MNIST_ROOT'),
)


@functools.cache
def _read(path, environment):
    return Config.fromfile(path)


def load(name):
    """Return a config of its own for a recipe, or for a path."""
    environment = tuple(os.environ.get(key) for key in VARIABLES)
    path = RECIPES.get(name, name)
    return copy.deepcopy(_read(path, environment))


def save_image(path, size=(80, 60)):
    """Write an image of coarse noise that its path is the seed of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.RandomState(zlib.crc32(str(path).encode()))
    coarse = rng.randint(0, 256, (3, 4, 3), dtype=np.uint8)
    pixels = np.kron(coarse, np.ones((size[1] // 3, size[0] // 4, 1)))
    pixels = pixels.astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path
