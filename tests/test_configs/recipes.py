# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The shipped recipes by name, read once."""

import copy
import functools
import os
from pathlib import Path

import mmpretrain
from mmengine.config import Config

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
VARIABLES = ('DATA_ROOT', 'IMAGE_SIZE', 'CORRUPT', 'IMAGENET_ROOT')


@functools.cache
def _read(path, environment):
    return Config.fromfile(path)


def load(name):
    """Return a config of its own for a recipe, or for a path."""
    environment = tuple(os.environ.get(key) for key in VARIABLES)
    path = RECIPES.get(name, name)
    return copy.deepcopy(_read(path, environment))
