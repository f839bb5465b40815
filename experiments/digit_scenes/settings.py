# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass

from pauc_mm.utils.checks import check_integer

MIN_SIDE = 12
# The masks of VOC number the digits of a scene in a byte, 0 is background.
MAX_DIGITS = 255


@dataclass(frozen=True)
class SceneSettings:
    """Numbers and sizes of a set of scenes.

    Args:
        train (int): Scenes of digits of the training split. Defaults to 300.
        val (int): Scenes of digits that are held out. Defaults to 100.
        size (int): Height and width of a scene. Defaults to 128.
        digits (tuple[int, int]): Fewest and most digits of a scene that is
            not empty, at most 255. Without room fewer are placed, but at
            least one. Defaults to (2, 6).
        digit_size (tuple[int, int]): Smallest and largest side of the frame
            of a digit; its strokes fill about 20/28 of it. Defaults to
            (16, 48).
        max_overlap (float): Largest share of the smaller of two frames that
            the other may cover; three quarters of the ink of each digit stay
            visible in any case. Defaults to 0.2.
        empty (float): Share of the scenes without a digit, rounded to whole
            scenes of each split. Defaults to 0.0.
        seed (int): Seed of all draws. Defaults to 0.

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
        for name, least in (('train', 1), ('val', 1), ('size', 32)):
            check_integer(f'--{name}', getattr(self, name), least)
        check_integer('--seed', self.seed, 0)
        self._check_range('--digits', self.digits, 1, MAX_DIGITS)
        self._check_range('--digit-size', self.digit_size, MIN_SIDE, self.size)
        for key, value in (
            ('--max-overlap', self.max_overlap),
            ('--empty', self.empty),
        ):
            if not 0 <= value < 1:
                raise ValueError(
                    f'{key} must be at least 0 and below 1, not {value}.'
                )
        for name in ('train', 'val'):
            if self.num_empty(name) >= getattr(self, name):
                raise ValueError(
                    f'--empty {self.empty} leaves no scene with a digit among '
                    f'the {getattr(self, name)} of --{name}: a detector '
                    'learns nothing from these.'
                )

    def num_empty(self, split: str) -> int:
        """Return the number of scenes without a digit of a split."""
        return round(self.empty * getattr(self, split))

    def is_empty(self, index: int) -> bool:
        """Return whether a scene has no digit.

        Empty scenes are spread evenly, so that the first N scenes are the
        same in each set that is as long or longer.
        """
        return round(self.empty * (index + 1)) > round(self.empty * index)

    @staticmethod
    def _check_range(
        key: str, pair: tuple[int, int], least: int, most: int
    ) -> None:
        for value in pair:
            check_integer(key, value, least)
        low, high = pair
        if low > high or high > most:
            raise ValueError(
                f'{key} {low} {high}: the smallest number comes first, and '
                f'the largest is at most {most}.'
            )
