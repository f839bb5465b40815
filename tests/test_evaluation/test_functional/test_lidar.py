# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch
from reptrix.lidar import get_lidar
from scipy.linalg import eigh

from pauc_mm.evaluation.functional import lidar, rankme

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(60, 1, 12, generator=GENERATOR).double()
NOISE = torch.randn(60, 4, 12, generator=GENERATOR).double()
VIEWS = IMAGES * torch.arange(1, 13) ** -0.5 + 0.3 * NOISE
DELTA = 1e-4


def scatter(views, delta=DELTA):
    """Return between and within covariance by a loop over images."""
    views = views.numpy()
    means = views.mean(axis=1)
    within = [np.cov(image.T) for image in views]
    return np.cov(means.T), np.mean(within, axis=0) + delta * np.eye(12)


def entropy_rank(values):
    share = values / values.sum() + 1e-7
    return math.exp(-sum(p * math.log(p) for p in share))


@pytest.mark.parametrize('delta', [DELTA, 1.0])
def test_equals_its_definition(delta):
    values = eigh(*scatter(VIEWS, delta), eigvals_only=True)
    expected = entropy_rank(values)
    assert lidar(VIEWS, delta) == pytest.approx(expected, rel=1e-9)
    assert lidar(VIEWS.numpy(), delta) == pytest.approx(expected, rel=1e-9)


def test_a_closed_form():
    # Two images along each axis, views that differ alike along all: the
    # eigenvalues are in proportion to the squares of the lengths.
    lengths = torch.tensor([3.0, 1.0])
    means = torch.cat([torch.diag(lengths), -torch.diag(lengths)])
    step = torch.eye(2)
    views = torch.stack([means + s for s in (*step, *-step)], dim=1)
    share = 0.9, 0.1
    expected = math.exp(-sum(p * math.log(p) for p in share))
    assert lidar(views) == pytest.approx(expected, rel=1e-5)


def test_noise_has_no_rank_that_images_have():
    # Images differ along two axes, views along ten others.
    images = IMAGES.clone()
    images[..., 2:] = 0
    noise = 0.5 * NOISE
    noise[..., :2] *= 0.1
    assert lidar(images + noise) < 4
    assert rankme((images + noise).flatten(0, 1)) > 8


def test_reptrix_takes_the_spectrum_of_the_rows_of_the_matrix():
    # reptrix 0.1.0 puts Sw^-1/2 Sb Sw^-1/2 through a PCA, which centres its
    # rows and squares its eigenvalues; the paper takes these themselves. Its
    # Sw is not divided by q - 1, so its delta is multiplied.
    between, within = scatter(VIEWS)
    lengths, axes = np.linalg.eigh(within)
    root = axes / np.sqrt(lengths) @ axes.T
    rows = root @ between @ root
    squares = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    found = get_lidar(VIEWS, 60, 4, del_sigma_augs=3 * DELTA)
    assert found == pytest.approx(entropy_rank(squares), rel=1e-6)
    assert lidar(VIEWS) > 1.2 * found


@pytest.mark.parametrize(
    'views, delta, found',
    [
        (VIEWS[:, 0], DELTA, r'\(60, 12\)'),
        (VIEWS[:1], DELTA, r'\(1, 4, 12\)'),
        (VIEWS[:, :1], DELTA, r'\(60, 1, 12\)'),
        (VIEWS, 0, 'delta=0'),
        (VIEWS * math.nan, DELTA, '240 of 240 views.*finite'),
    ],
)
def test_bad_arguments(views, delta, found):
    with pytest.raises(ValueError, match=found):
        lidar(views, delta)
