# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""scikit-learn's digits: a real data set that needs no download."""

from __future__ import annotations

import numpy as np
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS
from PIL import Image

TEST_PER_CLASS = 36
SPLIT_SEED = 0


def digits_split(labels: np.ndarray, split: str) -> np.ndarray:
    """Indices of a fixed split with the same number of tests per class.

    The draw uses NumPy's legacy ``RandomState``, whose stream is frozen, so
    that the split is the same under every version of every library.

    Args:
        labels (np.ndarray): Classes of all images, int, shape (N, ).
        split (str): 'train' (1437 images), 'test' (360 images, 36 of each
            class) or 'all' (1797 images).

    Returns:
        np.ndarray: Ascending indices, int64, shape (n, ).

    Raises:
        ValueError: If ``split`` is none of the three.
    """
    if split not in ('train', 'test', 'all'):
        raise ValueError(
            f"split={split!r} is unknown: use 'train', 'test' or 'all'."
        )
    everything = np.arange(len(labels))
    if split == 'all':
        return everything
    rng = np.random.RandomState(SPLIT_SEED)
    test = np.concatenate(
        [
            rng.permutation(np.flatnonzero(labels == c))[:TEST_PER_CLASS]
            for c in range(10)
        ]
    )
    test.sort()
    return test if split == 'test' else np.setdiff1d(everything, test)


@DATASETS.register_module()
class SklearnDigits(BaseDataset):
    """The 1,797 handwritten digits of 8x8 pixels that scikit-learn ships.

    Images are held in memory: a sample has ``img`` (uint8, 0 to 255),
    ``gt_label``, ``img_shape`` and ``ori_shape``, and a pipeline starts
    without a loading transform. The original values 0 to 16 are scaled to
    0 to 255 and the image is enlarged by bicubic interpolation.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten
    Digits, UCI Machine Learning Repository, 1998, test part.

    Args:
        split (str): 'train' (1437), 'test' (360, held out, 36 of each class)
            or 'all'. See :func:`digits_split`. Defaults to 'train'.
        size (int): Height and width of the images. Defaults to 16.
        channels (int): 3 for (size, size, 3) with equal channels, 1 for
            (size, size). Defaults to 3.
        **kwargs: Of mmpretrain's ``BaseDataset`` (``pipeline``, ...).

    Raises:
        ImportError: If scikit-learn is not installed.
        ValueError: If ``split``, ``size`` or ``channels`` is out of range.
    """

    METAINFO = {'classes': tuple(str(c) for c in range(10))}

    def __init__(
        self,
        split: str = 'train',
        size: int = 16,
        channels: int = 3,
        **kwargs,
    ) -> None:
        if not isinstance(size, int) or size < 1:
            raise ValueError(f'size={size!r} must be a positive integer.')
        if channels not in (1, 3):
            raise ValueError(f'channels={channels!r} must be 1 or 3.')
        self.split = split
        self.size = size
        self.channels = channels
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read, scale and enlarge the images of the split.

        Returns:
            list[dict]: Samples as described in the class.
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
        shape = (self.size, self.size)
        data_list = []
        for i in digits_split(digits.target, self.split):
            small = np.round(digits.images[i] * (255 / 16)).astype(np.uint8)
            large = Image.fromarray(small).resize(shape, Image.BICUBIC)
            img = np.array(large)
            if self.channels == 3:
                img = np.repeat(img[:, :, None], 3, axis=2)
            data_list.append(
                dict(
                    img=img,
                    gt_label=int(digits.target[i]),
                    img_shape=shape,
                    ori_shape=small.shape,
                )
            )
        return data_list

    def extra_repr(self) -> list[str]:
        """The split and the image size, for ``repr``."""
        return [f'Split: \t{self.split}', f'Image size: \t{self.size}']
