# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import dataclass

MIN_SIDE = 12
# The masks of VOC number the digits of a scene in a byte, 0 is background.
MAX_DIGITS = 255


@dataclass(frozen=True)
class SceneSettings:
    """What a set of scenes is made of.

    Args:
        train (int): Scenes of digits of the training split. Defaults to 300.
        val (int): Scenes of digits that are held out. Defaults to 100.
        size (int): Height and width of a scene. Defaults to 128.
        digits (tuple[int, int]): Fewest and most digits of a scene that is
            not empty, up to 255. Where there is no room, fewer are placed,
            but never none. Defaults to (2, 6).
        digit_size (tuple[int, int]): Smallest and largest side of the frame
            of a digit, of which its strokes take about 20 in 28.
            Defaults to (16, 48).
        max_overlap (float): Largest share of the smaller of two frames that
            the other may cover; three quarters of the ink of each digit stay
            visible in any case. Defaults to 0.2.
        empty (float): Share of the scenes without a digit, rounded to whole
            scenes of each split. Defaults to 0.0.
        seed (int): Of everything that is drawn. Defaults to 0.

    Raises:
        ValueError: If one of them is out of range, named as the option of
            experiments/make_digit_scenes.py.
    """

    train: int = 300
    val: int = 100
    size: int = 128
    digits: tuple[int, int] = (2, 6)
    digit_size: tuple[int, int] = (16, 48)
    max_overlap: float = 0.2
    empty: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ('train', 'val'):
            self._check_integer(name, getattr(self, name), 1)
        self._check_integer('size', self.size, 32)
        self._check_integer('seed', self.seed, 0)
        self._check_range('digits', 1)
        self._check_range('digit_size', MIN_SIDE)
        if self.digits[1] > MAX_DIGITS:
            raise ValueError(
                f'--digits {_shown(self.digits)}: a scene has at most '
                f'{MAX_DIGITS} digits, which are numbered in a byte of the '
                'masks.'
            )
        if self.digit_size[1] > self.size:
            raise ValueError(
                f'--digit-size {_shown(self.digit_size)}: the largest digit '
                f'must fit into a scene, which is {self.size} pixels wide '
                '(--size).'
            )
        for name in ('max_overlap', 'empty'):
            value = getattr(self, name)
            if not math.isfinite(value) or not 0 <= value < 1:
                raise ValueError(
                    f'{_option(name)} must be at least 0 and below 1, not '
                    f'{value}.'
                )
        for name in ('train', 'val'):
            if self.num_empty(name) >= getattr(self, name):
                raise ValueError(
                    f'--empty {self.empty} leaves no scene with a digit among '
                    f'the {getattr(self, name)} of --{name}: a detector '
                    'learns nothing from these.'
                )

    def num_empty(self, split: str) -> int:
        """Number of scenes without a digit.

        Args:
            split (str): 'train' or 'val'.

        Returns:
            int: At most the scenes of the split.
        """
        return round(self.empty * getattr(self, split))

    def is_empty(self, index: int) -> bool:
        """Whether a scene has no digit.

        They are spread evenly, so that the first N scenes are the same in
        each set that is as long or longer.

        Args:
            index (int): Of the scene in its split.

        Returns:
            bool: True for :meth:`num_empty` of the scenes of a split.
        """
        return round(self.empty * (index + 1)) > round(self.empty * index)

    @staticmethod
    def _check_integer(name: str, value: int, least: int) -> None:
        if not isinstance(value, int) or value < least:
            raise ValueError(
                f'{_option(name)} must be an integer >= {least}, not '
                f'{value!r}.'
            )

    def _check_range(self, name: str, least: int) -> None:
        low, high = getattr(self, name)
        for value in (low, high):
            self._check_integer(name, value, least)
        if low > high:
            raise ValueError(
                f'{_option(name)} {low} {high}: the first number is the '
                'smallest, the second the largest.'
            )


def _option(name: str) -> str:
    return '--' + name.replace('_', '-')


def _shown(pair: tuple[int, int]) -> str:
    return ' '.join(map(str, pair))
