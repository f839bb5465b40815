# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from pauc_mm.visualization import plot_spectra, plot_unique_curves


def test_lines_are_the_spectra_over_their_largest(drawn):
    values = np.array([8.0, 4.0, 1.0, 0.0])
    (axis,) = drawn(plot_spectra, {'a': values, 'b': [3.0, 3.0]}).axes
    first, second = axis.lines
    assert first.get_xdata().tolist() == [1, 2, 3, 4]
    assert first.get_ydata().tolist() == [1, 0.5, 0.125, 0]
    assert second.get_ydata().tolist() == [1, 1]
    assert axis.get_yscale() == 'log'
    assert axis.get_ylim()[0] > 0


def test_the_effective_rank_is_marked_on_the_curve(drawn):
    spectra = {'a': [1.0, 0.6, 0.2]}
    (axis,) = drawn(plot_spectra, spectra, ranks={'a': 2.5}).axes
    mark, _ = axis.lines
    assert mark.get_xydata().tolist() == [pytest.approx([2.5, 0.4])]
    (text,) = axis.get_legend().get_texts()
    assert text.get_text() == 'a (effective rank 2.5 of 3)'


def test_spectra_are_written(tmp_path, read_picture):
    spectra = {'a': np.exp(-np.arange(50)), 'b': np.ones(20)}
    path = plot_spectra(spectra, tmp_path / 'deep' / 's.png', ranks={'b': 20})
    assert read_picture(path).shape[1] == 936


def legend(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_shares_are_drawn_in_per_cent_over_epsilon(drawn):
    curves = {'a': ([0.025, 0.5], [1.0, 0.25])}
    (axis,) = drawn(plot_unique_curves, curves).axes
    curve, threshold = axis.lines
    assert curve.get_xdata().tolist() == [0.025, 0.5]
    assert curve.get_ydata().tolist() == [100, 25]
    assert set(threshold.get_xdata()) == {0.025}
    assert legend(axis) == ['a']


def test_published_values_only_when_asked_for(drawn):
    curves = {'a': ([0.1], [1.0])}
    (axis,) = drawn(plot_unique_curves, curves, references=True).axes
    marks = [line.get_xydata()[0].tolist() for line in axis.lines[2:]]
    # Why Prototypes Collapse, at a cosine distance of 0.025
    assert marks == [[0.025, 1.5], [0.025, 10.8], [0.025, 100]]
    assert legend(axis)[1] == 'published: DINO 1.5% at 0.025'


def test_unique_curves_are_written(tmp_path, read_picture):
    epsilons = np.geomspace(1e-3, 1, 30)
    curves = {'a': (epsilons, 1 - epsilons)}
    path = plot_unique_curves(curves, tmp_path / 'u.png', references=True)
    assert read_picture(path).shape[1] == 936
