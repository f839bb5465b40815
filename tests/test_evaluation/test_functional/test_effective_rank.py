# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

from pauc_mm.evaluation.functional import effective_rank


@pytest.mark.parametrize('dim', [1, 4, 32])
@pytest.mark.parametrize('center', [True, False])
def test_isotropic_embeddings_have_full_rank(dim, center):
    # The corners of a cross-polytope: mean 0, identity covariance.
    points = torch.cat([torch.eye(dim), -torch.eye(dim)]) * 3
    got = effective_rank(points, center=center)
    assert got == pytest.approx(dim, abs=1e-9)


def test_one_direction_has_rank_one():
    points = torch.randn(50, 1) @ torch.randn(1, 8)
    assert effective_rank(points) == pytest.approx(1, abs=1e-4)
    assert effective_rank(points.double()) == pytest.approx(1, abs=1e-4)


def test_offset_counts_only_without_centring():
    points = torch.cat([torch.eye(4), -torch.eye(4)]) + 1000
    assert effective_rank(points) == pytest.approx(4, abs=1e-9)
    assert effective_rank(points, center=False) < 1.1


@pytest.mark.parametrize('offset', [0.0, 1.0, 1 / 3])
def test_equal_rows_have_rank_zero(offset):
    points = torch.full((37, 5), offset)
    assert effective_rank(points) == 0


def test_equals_its_definition():
    points = torch.randn(40, 6) * torch.tensor([9.0, 5, 3, 2, 1, 0.1])
    centred = points.double().numpy() - points.double().numpy().mean(0)
    # Eigenvalues of the covariance are squares of the singular values.
    values = np.sqrt(np.linalg.eigvalsh(centred.T @ centred))
    share = values / values.sum()
    expected = math.exp(-sum(p * math.log(p) for p in share))
    assert effective_rank(points) == pytest.approx(expected, rel=1e-9)
    assert effective_rank(points * 100) == pytest.approx(expected, rel=1e-6)


def test_two_known_singular_values():
    points = np.diag([3.0, 1.0])
    expected = math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert effective_rank(points, center=False) == pytest.approx(expected)


def test_subsample():
    points = torch.randn(500, 6)
    some = effective_rank(points, max_samples=200, seed=1)
    assert some == effective_rank(points, max_samples=200, seed=1)
    assert some == pytest.approx(effective_rank(points), abs=0.2)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r'\(5,\)'):
        effective_rank(torch.ones(5))
    with pytest.raises(ValueError, match='2 of 2.*finite'):
        effective_rank(torch.full((2, 2), math.inf))
