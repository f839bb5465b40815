# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from pauc_mm.visualization import ClusterRow, plot_cluster_montage
from pauc_mm.visualization.cluster_montage import letterbox


def plain(colour, height=30, width=20):
    return np.full((height, width, 3), colour, np.uint8)


RED, GREEN, BLUE = (230, 0, 0), (0, 160, 0), (0, 0, 230)


def place(pixels, colour):
    """Centre (row, column) and number of the pixels of a colour."""
    rows, columns = np.nonzero((np.abs(pixels - colour) < 8).all(axis=2))
    return rows.mean(), columns.mean(), len(rows)


def test_images_lie_in_rows_under_their_coarse_cluster(tmp_path, read_picture):
    rows = [
        ClusterRow('first', [plain(RED)], [plain(BLUE)] * 2, 'one'),
        ClusterRow('second', [plain(0)], [plain(0)], 'two'),
        # Belongs below the first, though it comes later
        ClusterRow('third', [plain(GREEN), plain(GREEN)], [], 'one'),
    ]
    pixels = read_picture(plot_cluster_montage(rows, tmp_path / 'm.png'))
    red, green, blue = (place(pixels, c) for c in (RED, GREEN, BLUE))
    assert red[0] == pytest.approx(blue[0], abs=2)  # one row
    assert red[0] < green[0] < place(pixels, (0, 0, 0))[0]
    assert red[1] < green[1] < blue[1]
    # As many pixels as images: 2/3 of a square of 0.66 inches each
    area = (0.66 * 130) ** 2 * 2 / 3
    for found, number in ((red, 1), (green, 2), (blue, 2)):
        assert found[2] == pytest.approx(number * area, rel=0.1)


@pytest.mark.slow
def test_the_page_grows_with_the_rows(tmp_path, read_picture):
    images = [plain(RED)] * 4
    heights = [
        read_picture(
            plot_cluster_montage(
                [ClusterRow(f'{i}', images) for i in range(number)],
                tmp_path / 'm.png',
            )
        ).shape[0]
        for number in (2, 12)
    ]
    assert heights[1] - heights[0] == pytest.approx(10 * 0.72 * 130, abs=3)


@pytest.mark.parametrize('shape', [(300, 100), (100, 300), (8, 4), (1, 1)])
def test_letterbox_keeps_the_shape(shape):
    image = letterbox(plain(RED, *shape), 80)
    assert image.shape == (80, 80, 3)
    red = (image == RED).all(axis=2)
    inside = np.argwhere(red)
    height, width = inside.max(axis=0) - inside.min(axis=0) + 1
    scale = 80 / max(shape)
    assert abs(height - shape[0] * scale) <= 2
    assert abs(width - shape[1] * scale) <= 2
    assert (image[~red] > 200).sum() >= 0.9 * (~red).sum()
