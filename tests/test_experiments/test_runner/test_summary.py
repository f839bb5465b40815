# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import pytest

from experiments.runner import (
    mean_and_deviation,
    paired_difference,
    spoken,
    time_left,
)


def test_mean_and_deviation_of_a_sample():
    # 2, 4, 4, 4, 5, 5, 7, 9: squares around 5 sum to 32, over 7
    found = mean_and_deviation([2, 4, 4, 4, 5, 5, 7, 9])
    assert found.mean == 5 and found.number == 8
    assert found.spread == pytest.approx(math.sqrt(32 / 7))
    assert found.text(2) == '5.00 ± 2.14'
    assert mean_and_deviation([3.26]).text() == '3.3'
    assert mean_and_deviation([]) is None


def test_differences_are_paired_by_seed():
    # Differences 1, 2 and 6: mean 3, squares 4 + 1 + 9 = 14 over 2 is 7,
    # standard error the root of 7/3.
    found = paired_difference(
        {0: 11, 1: 22, 2: 36, 5: 99}, {2: 30, 1: 20, 0: 10, 7: -99}
    )
    assert (found.mean, found.number) == (3, 3)
    assert found.spread == pytest.approx(math.sqrt(7 / 3))
    assert found.text(1, signed=True) == '+3.0 ± 1.5'
    one = paired_difference({4: 1.0}, {4: 3.0})
    assert one.text(1, signed=True) == '-2.0' and one.spread is None
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_time_left():
    assert time_left(['a'], [('a', 0.0, 30)], {}, 1) is None
    # Two cells of 10 and 30 s and half of one of 30 s, one after the other
    known = {'a': [8, 12], 'b': [30]}
    assert time_left(['a', 'b'], [('b', 0.5, 99)], known, 1) == 55
    assert time_left(['a', 'b'], [('b', 0.5, 99)], known, 2) == 27.5
    # Known by what runs: a quarter in 5 s; an unknown kind takes as long.
    assert time_left(['c'], [('a', 0.25, 5)], {}, 1) == 15 + 20
    # The last one does not get faster.
    assert time_left([], [('a', 0.1, 0), ('a', 0.9, 0)], known, 2) == 9
    assert time_left([], [], known, 2) == 0


@pytest.mark.parametrize(
    'seconds, text',
    [
        (None, 'unknown'),
        (0, '0 s'),
        (89, '89 s'),
        (150, '2 min'),
        (3599, '1 h 00 min'),
        (3900, '1 h 05 min'),
        (86400, '24 h 00 min'),
    ],
)
def test_spoken(seconds, text):
    assert spoken(seconds) == text
