# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest

from experiments.runner import spoken, time_left


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
