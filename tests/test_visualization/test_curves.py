# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from pauc_mm.visualization import plot_spectra, plot_unique_curves
from pauc_mm.visualization.curves import draw_spectra, draw_unique_curves


def test_lines_are_the_spectra_over_their_largest(axis):
    values = np.array([8.0, 4.0, 1.0, 0.0])
    draw_spectra(axis, {'a': values, 'b': [3.0, 3.0]})
    first, second = axis.lines
    assert first.get_xdata().tolist() == [1, 2, 3, 4]
    assert first.get_ydata().tolist() == [1, 0.5, 0.125, 0]
    assert second.get_ydata().tolist() == [1, 1]
    assert axis.get_yscale() == 'log'
    assert axis.get_ylim()[0] > 0


def test_the_effective_rank_is_marked_on_the_curve(axis):
    draw_spectra(axis, {'a': [1.0, 0.6, 0.2]}, ranks={'a': 2.5})
    mark, _ = axis.lines
    assert mark.get_xydata().tolist() == [pytest.approx([2.5, 0.4])]
    (text,) = axis.get_legend().get_texts()
    assert text.get_text() == 'a (effective rank 2.5 of 3)'


def test_spectra_are_written(tmp_path, read_picture):
    spectra = {'a': np.exp(-np.arange(50)), 'b': np.ones(20)}
    path = plot_spectra(spectra, tmp_path / 'deep' / 's.png', ranks={'b': 20})
    assert read_picture(path).shape[1] == 936


@pytest.mark.parametrize(
    'spectra, ranks, message',
    [
        ({'a': [0.0, 0.0]}, None, r"spectra\['a'\] .* one point"),
        ({'a': [1.0, 2.0]}, None, 'index 0'),
        ({'a': [1.0, -1.0]}, None, r"spectra\['a'\] .* -1"),
        ({'a': [1.0, np.nan]}, None, r'\[1\]'),
        ({'a': np.eye(2)}, None, r'got shape \(2, 2\)'),
        ({'a': [1.0]}, {'b': 1}, r"ranks .* got \['b'\]"),
    ],
)
def test_bad_spectra(tmp_path, spectra, ranks, message):
    with pytest.raises(ValueError, match=message):
        plot_spectra(spectra, tmp_path / 's.png', ranks=ranks)


def legend(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_shares_are_drawn_in_per_cent_over_epsilon(axis):
    draw_unique_curves(axis, {'a': ([0.5, 0.025], [0.25, 1.0])})
    curve, threshold = axis.lines
    assert curve.get_xdata().tolist() == [0.025, 0.5]
    assert curve.get_ydata().tolist() == [100, 25]
    assert set(threshold.get_xdata()) == {0.025}
    assert legend(axis) == ['a']


def test_published_values_only_when_asked_for(axis):
    draw_unique_curves(axis, {'a': ([0.1], [1.0])}, references=True)
    marks = [line.get_xydata()[0].tolist() for line in axis.lines[2:]]
    # Why Prototypes Collapse, at a cosine distance of 0.025
    assert marks == [[0.025, 1.5], [0.025, 10.8], [0.025, 100]]
    assert legend(axis)[1] == 'published: DINO 1.5% at 0.025'


def test_unique_curves_are_written(tmp_path, read_picture):
    epsilons = np.geomspace(1e-3, 1, 30)
    curves = {'a': (epsilons, 1 - epsilons)}
    path = plot_unique_curves(curves, tmp_path / 'u.png', references=True)
    assert read_picture(path).shape[1] == 936


@pytest.mark.parametrize(
    'curve, message',
    [
        (([0.1, 0.2], [1.0]), r"curves\['a'\] .* got 1 and 2"),
        (([0.0], [1.0]), 'epsilons > 0 .* from 0 '),
        (([0.1], [97.0]), 'to 97'),
        (([0.1], [np.nan]), 'shares of .* finite'),
        (0.5, 'pair .*got 0.5'),
    ],
)
def test_bad_unique_curves(tmp_path, curve, message):
    with pytest.raises(ValueError, match=message):
        plot_unique_curves({'a': curve}, tmp_path / 'u.png')
