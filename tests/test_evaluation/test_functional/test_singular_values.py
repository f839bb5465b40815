# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import importlib
import math

import numpy as np
import pytest
import torch

from pauc_mm.evaluation.functional import singular_values

# The package exports the function under the name of its module.
module = importlib.import_module(
    'pauc_mm.evaluation.functional.singular_values'
)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, '_MIN_CHUNK', 8)


@pytest.mark.parametrize('shape', [(50, 4), (33, 8), (5, 9), (1, 3)])
@pytest.mark.parametrize('center', [True, False])
def test_equals_numpy(shape, center, small_blocks):
    points = np.random.default_rng(0).standard_normal(shape) + 2
    got = singular_values(points, center)
    moved = points - points.mean(0) if center else points
    expected = np.linalg.svd(moved, compute_uv=False) / math.sqrt(shape[0])
    assert got.shape == (min(shape),) and got.dtype == torch.float64
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-14)


def test_standard_deviations_along_principal_axes(small_blocks):
    spread = torch.tensor([5.0, 2, 0.5])
    turn, _ = torch.linalg.qr(torch.randn(3, 3))
    # The corners of a cuboid lie exactly one deviation from the centre.
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1])] * 3)
    points = (corners * spread) @ turn + 7
    got = singular_values(points)
    assert got.tolist() == pytest.approx(spread.tolist(), rel=1e-5)
    # More samples of the same distribution change nothing.
    more = singular_values(points.repeat(20, 1))
    assert more.tolist() == pytest.approx(got.tolist(), rel=1e-9)


def test_blocks_keep_what_squares_would_lose(small_blocks):
    # The same over 12 powers of ten, of which the covariance keeps eight.
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.standard_normal((200, 5)))
    right, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    values = 10.0 ** -np.array([0, 3, 6, 9, 12])
    points = (left * values) @ right * math.sqrt(200)
    got = singular_values(points, center=False)
    np.testing.assert_allclose(got[:4], values[:4], rtol=1e-6)
    assert got[4] == pytest.approx(1e-12, rel=1e-3)


@pytest.mark.parametrize('offset', [0.0, 1.0, 1 / 3])
@pytest.mark.parametrize('number', [7, 500])
def test_equal_rows_have_no_spread(offset, number, small_blocks):
    points = torch.full((number, 5), offset)
    assert singular_values(points).tolist() == [0.0] * 5


def test_low_rank_leaves_exact_zeros(small_blocks):
    points = torch.randn(300, 2).double() @ torch.randn(2, 6).double()
    got = singular_values(points)
    assert (got[:2] > 0.1).all() and got[2:].tolist() == [0.0] * 4
    # Rounding grows with the number of rows: 1e-14 is none of 500.
    signs = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]]).double()
    points = signs.repeat(125, 1) * torch.tensor([1, 1e-14])
    first, second = singular_values(points).tolist()
    assert first == pytest.approx(1) and second == 0


def test_subsample():
    points = torch.randn(2000, 4)
    some = singular_values(points, max_samples=500, seed=1)
    assert torch.equal(some, singular_values(points, True, 500, 1))
    assert not torch.equal(some, singular_values(points, True, 500, 2))
    whole = singular_values(points)
    assert some.tolist() == pytest.approx(whole.tolist(), rel=0.2)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r'matrix.*\(5,\)'):
        singular_values(torch.ones(5))
    with pytest.raises(ValueError, match=r'non-empty.*\(0, 4\)'):
        singular_values(torch.ones(0, 4))
    with pytest.raises(ValueError, match='1 of 2.*finite'):
        singular_values(torch.tensor([[1.0], [math.nan]]))
