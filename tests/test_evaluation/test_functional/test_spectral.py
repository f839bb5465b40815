# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""RankMe, alpha-ReQ, stable rank and NESum."""

import math

import numpy as np
import pytest
import torch
from reptrix.alpha import get_alpha
from reptrix.rankme import get_rank, get_rankme
from reptrix.utils import get_eigenspectrum

from pauc_mm.evaluation.functional import (
    alpha_req,
    effective_rank,
    nesum,
    rankme,
    stable_rank,
)

# An offset, which RankMe counts and reptrix removes.
POINTS = (
    0.3
    + torch.randn(300, 40, generator=torch.Generator().manual_seed(0)).double()
    * torch.arange(1, 41) ** -0.7
)
SPECTRAL = (rankme, stable_rank, nesum, alpha_req)


def cross(lengths):
    """Return points of mean 0 with these singular values, up to a factor."""
    axes = torch.diag(torch.as_tensor(lengths, dtype=torch.float64))
    return torch.cat([axes, -axes])


def test_two_singular_values_have_closed_forms():
    points = cross([3.0, 1.0])
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert rankme(points) == pytest.approx(math.exp(entropy), rel=1e-6)
    assert stable_rank(points) == pytest.approx(10 / 9)
    assert nesum(points) == pytest.approx(10 / 9)


def test_an_offset_is_an_axis_of_what_is_not_centred():
    points = cross(torch.ones(4)) + 1000
    for measure in (rankme, stable_rank):
        assert measure(points) == pytest.approx(1, abs=0.02)
    assert nesum(points) == pytest.approx(4)


@pytest.mark.parametrize('alpha', [0.0, 1.0, 2.5])
def test_alpha_of_a_power_law(alpha):
    lengths = torch.arange(1, 151).double() ** (-alpha / 2)
    assert alpha_req(cross(lengths)) == pytest.approx(alpha, abs=1e-9)
    # Neither the first ten nor those after the hundredth count.
    lengths[:10], lengths[100:] = 7, 1e-3
    assert alpha_req(cross(lengths)) == pytest.approx(alpha, abs=1e-9)


def test_rankme_counts_singular_values_and_reptrix_variances():
    # The paper's equation 1: singular values of Z itself. reptrix 0.1.0 takes
    # the shares of the variance of the centred Z, their squares.
    sigma = np.linalg.svd(POINTS.numpy(), compute_uv=False)
    assert rankme(POINTS) == pytest.approx(get_rank(sigma), rel=1e-9)
    variances = get_eigenspectrum(POINTS.numpy())
    assert get_rankme(POINTS) == pytest.approx(get_rank(variances), rel=1e-9)
    assert rankme(POINTS) > 1.4 * get_rankme(POINTS)
    sqrt = get_rank(np.sqrt(variances))
    assert effective_rank(POINTS) == pytest.approx(sqrt, rel=1e-4)


@pytest.mark.parametrize('dim', [25, 40])
def test_alpha_is_that_of_reptrix(dim):
    points = POINTS[:, :dim]
    # numpy's range counts from 0; reptrix changes it.
    expected = get_alpha(points, fit_range=np.arange(10, dim))[0]
    assert alpha_req(points) == pytest.approx(expected, rel=1e-5)


def test_collapsed_embeddings():
    zeros = torch.zeros(30, 20)
    assert rankme(zeros) == stable_rank(zeros) == 0
    assert nesum(zeros + 1) == 0
    with pytest.raises(ValueError, match='got 0'):
        alpha_req(zeros)
    with pytest.raises(ValueError, match='13.*got 12'):
        alpha_req(cross(torch.ones(12)))


@pytest.mark.parametrize('measure', SPECTRAL)
def test_what_is_not_finite_is_refused(measure):
    with pytest.raises(ValueError, match='2 of 2.*finite'):
        measure(torch.full((2, 2), math.nan))


def test_thirteen_axes_are_enough_for_alpha():
    lengths = torch.arange(1, 14).double() ** -0.5
    assert alpha_req(cross(lengths)) == pytest.approx(1, abs=1e-9)
