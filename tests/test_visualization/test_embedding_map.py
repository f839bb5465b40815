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
    with pytest.raises(ValueError, match='embeddings|NaN|2D'):
        tsne_map(points)


def ink(path):
    """Number of pixels of each of the first two colours."""
    image = np.asarray(Image.open(path).convert('RGB')).astype(int)
    return [
        int((np.abs(image - colour).max(axis=2) < 60).sum())
        for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00))
    ]


def test_without_labels_there_is_one_colour(tmp_path):
    points, _ = blobs()
    maps = {'one': points[:, :2]}
    path = plot_embedding_maps(maps, None, None, tmp_path / 'map.png', 't')
    first, second = ink(path)
    assert first > 200 and second == 0


def test_every_class_is_where_it_belongs(drawn):
    points, labels = blobs()
    figure = drawn(
        plot_embedding_maps,
        {'a': points[:, :2]},
        labels,
        list('abc'),
        title='title',
    )
    drawings = figure.axes[0].collections
    assert len(drawings) == 3
    for c, drawing in enumerate(drawings):
        assert np.array_equal(drawing.get_offsets(), points[labels == c, :2])
    assert [t.get_text() for t in figure.legends[0].texts] == list('abc')


@pytest.mark.parametrize('named', [True, False])
def test_many_groups_have_a_note_and_no_legend(drawn, named):
    points, _ = blobs()
    labels = np.arange(60) % 20
    names = [f'class {i}' for i in range(20)] if named else None
    figure = drawn(
        plot_embedding_maps,
        {'a': points[:, :2]},
        labels,
        names,
        title='title',
    )
    assert not figure.legends and not figure.axes[0].texts
    assert figure.get_supxlabel().startswith('20 groups')
    looks = {
        (d.get_facecolor().tobytes(), d.get_paths()[0].vertices.tobytes())
        for d in figure.axes[0].collections
    }
    assert len(looks) == 20


def test_equal_embeddings_are_refused():
    # scikit-learn 1.9 ends the whole process on them.
    with pytest.raises(ValueError, match='all are equal'):
        tsne_map(np.ones((20, 4), dtype=np.float32))
