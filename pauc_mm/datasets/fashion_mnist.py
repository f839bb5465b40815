# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import functools
import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from mmpretrain.datasets.categories import FASHIONMNIST_CATEGORITES
from mmpretrain.registry import DATASETS

from pauc_mm.utils.checks import check_choice

from .packaged_images import PackagedImages

# MD5 of the four files when they are unpacked.
DIGESTS = {
    'train-images-idx3-ubyte': 'f4a8712d7a061bf5bd6d2ca38dc4d50a',
    't10k-images-idx3-ubyte': '8181f5470baa50b63fa0f6fddb340f0a',
    'train-labels-idx1-ubyte': '9018921c3c673c538a1fc5bad174d6f9',
    't10k-labels-idx1-ubyte': '15d484375f8d13e6eb1aabb0c3f46965',
}


@functools.lru_cache(maxsize=1)
def read_fashion_mnist(root: str) -> tuple[np.ndarray, np.ndarray]:
    """Read all images, (70000, 28, 28), uint8, and their classes, (70000,).

    The data sets of a run share these read-only arrays. ``root`` has the four
    files, plain or as ``.gz``, or, as torchvision's, in ``FashionMNIST/raw``.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is cut short or that of another data set.
    """
    images, more_images, labels, more_labels = (
        _read_file(root, name) for name in DIGESTS
    )
    arrays = (
        np.concatenate([images, more_images]).reshape(-1, 28, 28),
        np.concatenate([labels, more_labels]).astype(np.int64),
    )
    for shared in arrays:
        shared.flags.writeable = False
    return arrays


def _read_file(root: str, name: str) -> np.ndarray:
    """Return the values of an IDX file, uint8, flat."""
    folders = Path(root), Path(root, 'FashionMNIST', 'raw')
    paths = [f / (name + end) for f in folders for end in ('', '.gz')]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise FileNotFoundError(
            f"Fashion-MNIST's {name}[.gz] is not in {root}. Set "
            'FASHION_MNIST_ROOT to its folder, or get it: apt-get install '
            'dataset-fashion-mnist   (as root; else: apt-get download '
            'dataset-fashion-mnist && dpkg -x dataset-fashion-mnist*.deb data '
            '&& export '
            'FASHION_MNIST_ROOT=data/usr/share/datasets/fashion-mnist)'
        )
    try:
        with (gzip.open if path.suffix else open)(path, 'rb') as file:
            content = file.read()
    except (EOFError, OSError) as error:
        raise ValueError(f'{path} is damaged: {error}') from error
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if digest != DIGESTS[name]:
        raise ValueError(
            f"{path} is not Fashion-MNIST's, or it is damaged: MD5 {digest} "
            f'of {len(content)} bytes, not {DIGESTS[name]}.'
        )
    header = 16 if 'images' in name else 8
    return np.frombuffer(content, np.uint8, offset=header)


@DATASETS.register_module()
class IdxFashionMNIST(PackagedImages):
    """Fashion-MNIST from its IDX files: 60,000 and 10,000 images of clothes.

    28x28 pixels, white on black. The split is the official one.
    ``fraction=1 / 6`` leaves 10,000 images to train on.

    Source: H. Xiao, K. Rasul and R. Vollgraf, `Fashion-MNIST
    <https://arxiv.org/abs/1708.07747>`_, 2017.

    Args:
        data_root (str): See :func:`read_fashion_mnist`.
        size (int): Height and width of the images.
        **kwargs: Of :class:`~.packaged_images.PackagedImages`.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, or an argument is out of range.
    """

    METAINFO = {'classes': FASHIONMNIST_CATEGORITES}

    def __init__(self, data_root: str, size: int = 28, **kwargs: Any) -> None:
        super().__init__(data_root=data_root, size=size, **kwargs)

    def read_images(self) -> tuple[np.ndarray, np.ndarray]:
        """Read all images, see :func:`read_fashion_mnist`."""
        return read_fashion_mnist(self.data_root)

    def rows(self, labels: np.ndarray, split: str) -> np.ndarray:
        """Return the official split."""
        check_choice('split', split, ('train', 'test', 'all'))
        parts = dict(train=(0, 60_000), test=(60_000, 70_000), all=(0, 70_000))
        return np.arange(*parts[split])
