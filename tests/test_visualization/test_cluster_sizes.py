# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from pauc_mm.visualization import plot_cluster_sizes


def sizes_of(kind, number=100):
    rng = np.random.default_rng(0)
    if kind == 'even':
        return rng.poisson(14, number)
    return np.concatenate([np.zeros(7, int), rng.zipf(1.5, number - 7)])


@pytest.mark.parametrize('kind', ['even', 'wild'])
def test_every_cluster_is_counted_in_its_bin(drawn, kind):
    sizes = sizes_of(kind)
    both = {'a': sizes, 'b': sizes[:50]}
    (axis,) = drawn(plot_cluster_sizes, both).axes
    assert axis.get_xscale() == ('symlog' if kind == 'wild' else 'linear')
    for patch, expected in zip(axis.patches[::2], (sizes, sizes[:50])):
        counts, edges, _ = patch.get_data()
        assert counts.sum() == len(expected)
        # By hand: the number of sizes between two edges
        by_hand = [
            sum(low < s < high for s in expected)
            for low, high in zip(edges, edges[1:])
        ]
        assert counts.tolist() == by_hand
        assert counts[0] == sum(s == 0 for s in expected)


def test_mean_and_empty_clusters_are_said(drawn):
    (axis,) = drawn(plot_cluster_sizes, {'PCL': [0, 0, 3, 9]}).axes
    (text,) = axis.get_legend().get_texts()
    assert text.get_text() == 'PCL: 4 clusters, mean size 3.0, 2 empty'
    assert [line.get_xdata()[0] for line in axis.lines] == [3, 3]


def test_total_collapse_is_drawn(drawn):
    sizes = np.zeros(1000, int)
    sizes[3] = 50000
    (axis,) = drawn(plot_cluster_sizes, {'a': sizes}).axes
    counts, edges, _ = axis.patches[0].get_data()
    assert counts[0] == 999 and counts.sum() == 1000
    assert edges[-1] > 50000


def test_the_picture_is_written(tmp_path, read_picture):
    path = plot_cluster_sizes(
        {'a': sizes_of('wild'), 'b': sizes_of('even')}, tmp_path / 's.png'
    )
    assert read_picture(path).shape[1] == 936  # 7.2 inches of 130 dots
