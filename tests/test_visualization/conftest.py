# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import sys

import numpy as np
import pytest
from PIL import Image

from pauc_mm.visualization.style import new_figure


@pytest.fixture
def axis():
    """Axes to look at without writing a file."""
    return new_figure(4, 3).subplots()


@pytest.fixture
def drawn(monkeypatch):
    """The figure that a function draws, instead of its file."""

    def draw(plot, *args, **kwargs):
        module = sys.modules[plot.__module__]
        monkeypatch.setattr(module, 'save', lambda figure, path: figure)
        return plot(*args, path='unused.png', **kwargs)

    return draw


@pytest.fixture
def read_picture():
    """Pixels (H, W, 3) of a picture that is not blank."""

    def read(path):
        pixels = np.asarray(Image.open(path).convert('RGB')).astype(int)
        # White paper with at least 1% ink, in at least ten shades.
        assert (pixels < 200).any(axis=2).mean() > 0.01
        assert len(np.unique(pixels[::2, ::2] @ (1, 256, 65536))) > 10
        return pixels

    return read
