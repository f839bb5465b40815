# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy.stats import vonmises

from pauc_mm.visualization import (
    circle_density,
    circle_projection,
    draw_circle,
    plot_circles,
)


def on_circle(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_two_dimensions_are_only_normalised():
    points = np.random.default_rng(0).normal(size=(50, 2)) + 3
    got, kept = circle_projection(points)
    lengths = np.sqrt(points[:, 0] ** 2 + points[:, 1] ** 2)
    np.testing.assert_allclose(got, points / lengths[:, None])
    assert kept == 1


def test_a_plane_in_space_is_found():
    rng = np.random.default_rng(1)
    flat = on_circle(rng.uniform(0, 2 * np.pi, 300))
    basis = np.linalg.qr(rng.normal(size=(7, 2)))[0]
    got, kept = circle_projection(flat @ basis.T * 5)
    assert kept == pytest.approx(1)
    # Up to rotation and reflection: the angles between points stay.
    np.testing.assert_allclose(got @ got.T, flat @ flat.T, atol=1e-9)


def test_the_share_kept_is_that_of_the_two_largest_squares():
    points = np.random.default_rng(2).normal(size=(200, 6))
    points[:, 0] += 2
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    squares = np.linalg.svd(unit, compute_uv=False) ** 2
    got, kept = circle_projection(points)
    assert kept == pytest.approx(squares[:2].sum() / squares.sum())
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1)
    assert (got.mean(axis=0) >= 0).all()


def test_a_collapse_stays_a_point():
    # Centred, the noise would look like a healthy, uniform circle.
    noise = np.random.default_rng(3).normal(size=(500, 16)) * 1e-7
    got, kept = circle_projection(np.ones(16) + noise)
    assert np.abs(got - got.mean(axis=0)).max() < 1e-5
    assert kept == pytest.approx(1)


@pytest.mark.parametrize('kappa', [5.0, 100.0])
def test_density_is_the_mean_of_von_mises_kernels(kappa):
    theta = np.random.default_rng(4).normal(3, 0.6, 40)  # around the seam
    angles, density = circle_density(on_circle(theta), kappa)
    expected = vonmises.pdf(angles[:, None] - theta, kappa).mean(axis=1)
    # Points are moved by at most a quarter of a degree.
    np.testing.assert_allclose(density, expected, atol=0.01)
    assert density.sum() * (2 * np.pi / 720) == pytest.approx(1)


def test_points_lie_on_the_circle_and_classes_on_tracks(axis):
    points = on_circle(np.linspace(0, 6, 30))
    labels = np.arange(30) % 3
    draw_circle(axis, points)
    np.testing.assert_allclose(axis.collections[0].get_offsets(), points)
    axis.clear()
    draw_circle(axis, points, labels, ['a', 'b', 'c'])
    for c, drawing in enumerate(axis.collections):
        places = drawing.get_offsets()
        radii = np.linalg.norm(places, axis=1)
        np.testing.assert_allclose(radii, 1 - 0.1 * c)
        np.testing.assert_allclose(
            places / radii[:, None], points[labels == c], atol=1e-12
        )
    assert [text.get_text() for text in axis.texts] == ['a', 'b', 'c']


def test_the_ring_is_as_high_as_the_density(axis):
    points = on_circle(np.repeat([0.5, 2.0], [300, 100]))
    highest = draw_circle(axis, points)
    _, density = circle_density(points)
    assert highest == pytest.approx(density.max() * 2 * np.pi)
    outer, ground, uniform = (
        np.linalg.norm(line.get_xydata(), axis=1) for line in axis.lines
    )
    height = (outer - ground)[:-1]
    np.testing.assert_allclose(
        height / height.max(), density / density.max(), atol=1e-9
    )
    # Dashed: where a uniform density would be
    np.testing.assert_allclose(
        (uniform - ground) / height.max(), 1 / highest, rtol=1e-9
    )
    axis.clear()
    draw_circle(axis, points, peak=2 * highest)
    outer, ground, _ = (
        np.linalg.norm(line.get_xydata(), axis=1) for line in axis.lines
    )
    assert (outer - ground).max() == pytest.approx(height.max() / 2)


def test_many_panels_are_written(tmp_path, read_picture):
    theta = np.random.default_rng(5).normal(0, 1, 200)
    points = {f'panel {i}': on_circle(theta * (i + 1)) for i in range(5)}
    labels = np.arange(200) % 3
    path = plot_circles(points, tmp_path / 'a' / 'c.png', labels)
    pixels = read_picture(path)
    assert path == tmp_path / 'a' / 'c.png'
    # Two rows of three, and the last place empty
    assert pixels.shape[1] == pytest.approx(3 * 3.4 * 130, abs=2)
    rows, columns = pixels.shape[0] * 11 // 20, pixels.shape[1] * 7 // 10
    assert (pixels[rows:, columns:] == 255).all()


@pytest.mark.parametrize(
    'embeddings, message',
    [
        (np.zeros((3, 1)), 'got .3, 1.'),
        (np.zeros((3, 4)), '3 of 3'),
        (np.array([[1.0, np.nan, 0]]), 'first rows: .0.'),
        # The third lies across the plane of the others.
        (np.eye(3)[[0, 0, 1, 1, 2]], '1 of 5'),
    ],
)
def test_what_has_no_place_on_the_circle(embeddings, message):
    with pytest.raises(ValueError, match=message):
        circle_projection(embeddings)
