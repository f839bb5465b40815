# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import pytest

from experiments.runner.column import paired_difference


def test_differences_are_paired_by_seed():
    # Differences 1, 2 and 6: mean 3, squares 4 + 1 + 9 = 14 over 2 is 7,
    # standard error the root of 7/3.
    summary = paired_difference(
        {0: 11, 1: 22, 2: 36, 5: 99}, {2: 30, 1: 20, 0: 10, 7: -99}
    )
    assert (summary.mean, summary.number) == (3, 3)
    assert summary.spread == pytest.approx(math.sqrt(7 / 3))
    assert summary.text(1, signed=True) == '+3.0 ± 1.5'
    one = paired_difference({4: 1.0}, {4: 3.0})
    assert one.text(1, signed=True) == '-2.0' and one.spread is None
    assert paired_difference({0: 1.0}, {1: 1.0}) is None
