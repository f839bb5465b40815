# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from pauc_mm.visualization import plot_spectra
from pauc_mm.visualization.spectra import draw_spectra


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


def test_the_picture_is_written(tmp_path, read_picture):
    spectra = {'a': np.exp(-np.arange(50)), 'b': np.ones(20)}
    path = plot_spectra(spectra, tmp_path / 'deep' / 's.png', ranks={'b': 20})
    assert read_picture(path).shape[1] == 936


@pytest.mark.parametrize(
    'spectra, ranks, message',
    [
        ({'a': [0.0, 0.0]}, None, 'the embeddings are one point'),
        ({'a': [1.0, 2.0]}, None, 'rises after place 0'),
        ({'a': [1.0, -1.0]}, None, 'must be >= 0'),
        ({'a': [1.0, np.nan]}, None, r'first places: \[1\]'),
        ({'a': np.eye(2)}, None, r'got shape \(2, 2\)'),
        ({'a': [1.0]}, {'b': 1}, r"ranks has \['b'\]"),
    ],
)
def test_bad_spectra(tmp_path, spectra, ranks, message):
    with pytest.raises(ValueError, match=message):
        plot_spectra(spectra, tmp_path / 's.png', ranks=ranks)
