# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Digits that scikit-learn ships: real images without a download."""

from __future__ import annotations

import numpy as np
from mmpretrain.registry import DATASETS

from .packaged_digits import PackagedDigits


@DATASETS.register_module()
class SklearnDigits(PackagedDigits):
    """The 1,797 handwritten digits of 8x8 pixels that scikit-learn ships.

    Images are held in memory: a sample has ``img`` (uint8, 0 to 255),
    ``gt_label``, ``img_shape`` and ``ori_shape``, and a pipeline starts
    without a loading transform. The original values 0 to 16 are scaled to
    0 to 255 and the image is enlarged by bicubic interpolation.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten
    Digits, UCI Machine Learning Repository, 1998, test part.

    Args:
        split (str): 'train' (1437), 'test' (360, held out, 36 of each class)
            or 'all'. See :func:`~.packaged_digits.held_out_split`.
            Defaults to 'train'.
        size (int): Height and width of the images. Defaults to 16.
        channels (int): 3 for (size, size, 3) with equal channels, 1 for
            (size, size). Defaults to 3.
        **kwargs: ``fraction`` and ``imbalance`` with their seeds, see
            :class:`~.packaged_digits.PackagedDigits`, and what mmpretrain's
            ``BaseDataset`` takes (``pipeline``, ...).

    Raises:
        ImportError: scikit-learn is not installed.
        ValueError: An argument is out of range.
    """

    TEST_PER_CLASS = 36

    def read_images(self) -> tuple[np.ndarray, np.ndarray]:
        """Read scikit-learn's images and scale their values.

        Returns:
            tuple[np.ndarray, np.ndarray]: Images, uint8, 0 to 255, shape
            (1797, 8, 8), and their classes, int64, shape (1797, ).

        Raises:
            ImportError: scikit-learn is not installed.
        """
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise ImportError(
                "type='SklearnDigits' reads the digits that come with "
                'scikit-learn, which is not installed: '
                'pip install scikit-learn'
            ) from error
        digits = load_digits()
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)
        return images, digits.target
