# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import pytest

from pauc_mm.utils.tables import (
    Summary,
    markdown_table,
    mean_and_deviation,
    summary_text,
)


def test_mean_and_deviation_of_a_sample():
    # 2, 4, 4, 4, 5, 5, 7, 9: squares around 5 sum to 32, over 7
    summary = mean_and_deviation([2, 4, 4, 4, 5, 5, 7, 9])
    assert summary.mean == 5 and summary.number == 8
    assert summary.spread == pytest.approx(math.sqrt(32 / 7))
    assert summary.text(2) == '5.00 ± 2.14'
    assert mean_and_deviation([3.26]).text() == '3.3'
    assert mean_and_deviation([]) is None


def test_missing_values_are_a_dash():
    assert summary_text(None) == '-'
    assert summary_text(Summary(0.97312, 0.0042), 4) == '0.9731 ± 0.0042'


def test_columns_line_up():
    assert markdown_table(['k', 'accuracy'], [[20, '0.9'], ['-', 'é']]) == (
        '| k   | accuracy |\n'
        '| --- | -------- |\n'
        '| 20  | 0.9      |\n'
        '| -   | é        |'
    )
    assert markdown_table(['k'], []) == '| k   |\n| --- |'
