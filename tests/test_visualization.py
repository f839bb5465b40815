# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from pauc_mm.visualization import plot_embedding_maps, tsne_map


def blobs(size=20):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), size)
    return rng.normal(0, 0.1, (len(labels), 6)) + labels[:, None] * 4, labels


def test_tsne_keeps_separate_blobs_apart_and_repeats():
    points, labels = blobs()
    places = tsne_map(points, seed=1)
    assert places.shape == (60, 2)
    assert np.array_equal(places, tsne_map(points, seed=1))
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).all()


def test_the_picture_is_drawn(tmp_path):
    points, labels = blobs()
    path = plot_embedding_maps(
        {'one': points[:, :2], 'two': points[:, 2:4]},
        labels,
        ['a', 'b', 'c'],
        tmp_path / 'new' / 'map.png',
        'title',
    )
    image = np.asarray(Image.open(path).convert('RGB')).reshape(-1, 3)
    assert Image.open(path).width > 1000
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        near = np.abs(image.astype(int) - colour).max(axis=1) < 60
        assert near.sum() > 200, colour


@pytest.mark.parametrize(
    'points', [np.zeros((3, 2)), np.full((9, 2), np.nan), np.zeros(9)]
)
def test_what_cannot_be_mapped_is_refused(points):
    with pytest.raises(ValueError, match='t-SNE needs'):
        tsne_map(points)
