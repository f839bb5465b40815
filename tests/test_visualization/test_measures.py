# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from pauc_mm.visualization import plot_comparison, plot_epoch_curves
from pauc_mm.visualization.measures import shade
from pauc_mm.visualization.style import new_figure


def test_a_line_for_each_run(drawn):
    curves = {'a': ([5, 10], [2.0, 1.0]), 'b': ([5], [3.0])}
    (axis,) = drawn(plot_epoch_curves, {'m': curves}).axes
    first, second = axis.lines
    assert first.get_xydata().tolist() == [[5, 2], [10, 1]]
    assert second.get_xydata().tolist() == [[5, 3]]
    assert all(tick == int(tick) for tick in axis.get_xticks())


def test_a_run_looks_the_same_in_every_panel(drawn):
    point = ([1], [1])
    values = {'m': {'a': point, 'b': point}, 'n': {'b': point}}
    figure = drawn(plot_epoch_curves, values)
    _, first, second = (line for axis in figure.axes for line in axis.lines)
    assert first.get_color() == second.get_color()
    assert first.get_marker() == second.get_marker()


def test_dots_in_their_rows_from_the_top(drawn):
    values = {'m': dict(a=1.0, b=2.0, c=3.0), 'n': dict(c=3.0, a=1.0)}
    first, axis = drawn(plot_comparison, values).axes
    assert [line.get_xydata()[0].tolist() for line in axis.lines] == [
        [3, 2],
        [1, 0],
    ]
    names = [label.get_text() for label in first.get_yticklabels()]
    assert names == ['a', 'b', 'c']
    low, high = axis.get_ylim()
    assert low > high  # row 0 on top


def test_shading_a_range_leaves_the_view():
    axis = new_figure(4, 3).subplots()
    axis.plot([0, 1], [0.0, 1.0])
    seen = axis.get_ylim()
    shade(axis, (0.5, None), 'y')
    assert axis.get_ylim() == seen
    box = axis.patches[0].get_extents().transformed(axis.transData.inverted())
    assert (box.y0, box.y1) == pytest.approx((0.5, seen[1]))
    shade(axis, (5.0, None), 'y')  # out of sight
    assert len(axis.patches) == 1 and axis.get_ylim() == seen


@pytest.mark.slow
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
