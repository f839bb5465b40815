# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from pauc_mm.visualization import plot_unique_curves
from pauc_mm.visualization.unique_curves import draw_unique_curves


def labels(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_shares_are_drawn_in_per_cent_over_epsilon(axis):
    draw_unique_curves(axis, {'a': ([0.5, 0.025], [0.25, 1.0])})
    curve, threshold = axis.lines
    assert curve.get_xdata().tolist() == [0.025, 0.5]
    assert curve.get_ydata().tolist() == [100, 25]
    assert set(threshold.get_xdata()) == {0.025}
    assert labels(axis) == ['a']


def test_published_values_only_when_asked_for(axis):
    draw_unique_curves(axis, {'a': ([0.1], [1.0])}, references=True)
    marks = [line.get_xydata()[0].tolist() for line in axis.lines[2:]]
    # Why Prototypes Collapse, at a cosine distance of 0.025
    assert marks == [[0.025, 1.5], [0.025, 10.8], [0.025, 100]]
    assert labels(axis)[1] == 'published: DINO 1.5% at 0.025'


def test_the_picture_is_written(tmp_path, read_picture):
    epsilons = np.geomspace(1e-3, 1, 30)
    curves = {'a': (epsilons, 1 - epsilons)}
    path = plot_unique_curves(curves, tmp_path / 'u.png', references=True)
    assert read_picture(path).shape[1] == 936


@pytest.mark.parametrize(
    'curve, message',
    [
        (([0.1, 0.2], [1.0]), '2 epsilons, but 1 shares'),
        (([0.0], [1.0]), 'epsilons > 0'),
        (([0.1], [97.0]), 'not per cent'),
        (([0.1], [np.nan]), 'shares of .* must be finite'),
        (0.5, 'must be a pair'),
    ],
)
def test_bad_curves(tmp_path, curve, message):
    with pytest.raises(ValueError, match=message):
        plot_unique_curves({'a': curve}, tmp_path / 'u.png')
