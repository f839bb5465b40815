# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from pauc_mm.visualization import plot_comparison, plot_epoch_curves
from pauc_mm.visualization.measures import (
    draw_comparison,
    draw_epoch_curves,
    shade,
)


def test_lines_in_the_order_of_epochs(axis):
    draw_epoch_curves(axis, {'a': ([10, 5], [1.0, 2.0]), 'b': ([5], [3.0])})
    first, second = axis.lines
    assert first.get_xydata().tolist() == [[5, 2], [10, 1]]
    assert second.get_xydata().tolist() == [[5, 3]]
    assert all(tick == int(tick) for tick in axis.get_xticks())


def test_a_run_looks_the_same_in_every_panel(axis):
    draw_epoch_curves(axis, {'a': ([1], [1]), 'b': ([1], [1])}, ['a', 'b'])
    draw_epoch_curves(axis, {'b': ([1], [1])}, ['a', 'b'])
    _, first, second = axis.lines
    assert first.get_color() == second.get_color()
    assert first.get_marker() == second.get_marker()


def test_dots_in_their_rows_from_the_top(axis):
    draw_comparison(axis, {'c': 3.0, 'a': 1.0}, ['a', 'b', 'c'])
    assert [line.get_xydata()[0].tolist() for line in axis.lines] == [
        [3, 2],
        [1, 0],
    ]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ['a', 'b', 'c']
    low, high = axis.get_ylim()
    assert low > high  # row 0 on top


def test_shading_a_range_leaves_the_view(axis):
    axis.plot([0, 1], [0.0, 1.0])
    seen = axis.get_ylim()
    shade(axis, (0.5, None), 'y')
    assert axis.get_ylim() == seen
    box = axis.patches[0].get_extents().transformed(axis.transData.inverted())
    assert (box.y0, box.y1) == pytest.approx((0.5, seen[1]))
    shade(axis, (5.0, None), 'y')  # out of sight
    assert len(axis.patches) == 1 and axis.get_ylim() == seen


def test_the_pictures_are_written(tmp_path, read_picture):
    curve = (np.arange(1, 40), np.linspace(0, 1, 39))
    values = {f'm{i}': {'a': curve, 'b': curve} for i in range(5)}
    path = plot_epoch_curves(
        values, tmp_path / 'e.png', ranges={'m0': (None, 0.5)}
    )
    # Two rows of three panels
    assert read_picture(path).shape[1] == pytest.approx(3 * 3.6 * 130, abs=2)
    dots = {f'm{i}': {'a': 1.0, 'b' * 60: 2.0} for i in range(3)}
    path = plot_comparison(dots, tmp_path / 'c.png', ranges={'m1': (1, 3)})
    assert read_picture(path).shape[1] == pytest.approx(3 * 3.6 * 130, abs=2)


@pytest.mark.parametrize(
    'values, ranges, message',
    [
        ({'m': {}}, None, r"values\['m'\]"),
        (
            {'m': {'a': ([1, 2], [1.0])}},
            None,
            r"values\['m'\]\['a'\] .* got 1 and 2",
        ),
        ({'m': {'a': ([1], [np.nan])}}, None, r"values\['m'\]"),
        ({'m': {'a': ([1], [1.0])}}, {'x': (0, 1)}, "ranges .* got 'x'"),
        (
            {'m': {'a': ([1], [1.0])}},
            {'m': (2, 1)},
            r"ranges\['m'\] .* got .2, 1.",
        ),
    ],
)
def test_bad_curves(tmp_path, values, ranges, message):
    with pytest.raises(ValueError, match=message):
        plot_epoch_curves(values, tmp_path / 'e.png', ranges=ranges)


@pytest.mark.parametrize(
    'values, error, message',
    [
        ({'m': {'a': np.nan}}, ValueError, r"values\['m'\]"),
        ({'m': [1, 2]}, TypeError, r"values\['m'\] .* list"),
        ({}, ValueError, 'values'),
    ],
)
def test_bad_dots(tmp_path, values, error, message):
    with pytest.raises(error, match=message):
        plot_comparison(values, tmp_path / 'c.png')
