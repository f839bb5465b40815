# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pauc_mm.evaluation.functional import uniformity


def random_points(num, dim=5, seed=0):
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('num', [2, 3, 17])
@pytest.mark.parametrize('t', [0.5, 2.0])
def test_equals_double_loop(num, t):
    points = F.normalize(random_points(num).double(), dim=1).tolist()
    terms = [
        math.exp(-t * math.dist(x, y) ** 2)
        for x, y in itertools.combinations(points, 2)
    ]
    expected = math.log(sum(terms) / len(terms))
    got = uniformity(random_points(num), t=t)
    assert got == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize('chunk', [1, 7, 100, 512])
def test_equals_pdist_for_every_chunk(chunk):
    points = random_points(100)
    unit = F.normalize(points.double(), dim=1)
    expected = torch.pdist(unit).pow(2).mul(-2).exp().mean().log().item()
    assert uniformity(points, chunk=chunk) == pytest.approx(
        expected, abs=1e-10
    )
    assert uniformity(points.numpy() * 7) == pytest.approx(expected, abs=1e-6)


def test_total_collapse_is_zero():
    for dim in (3, 4):  # a third thrice is more than one
        assert -1e-12 < uniformity(torch.ones(30, dim)) <= 0


def test_two_opposite_points():
    points = torch.tensor([[1.0, 0.0], [-2.0, 0.0]])
    assert uniformity(points) == pytest.approx(-8, abs=1e-12)
    # exp(-4000) is 0 in double precision, its logarithm is not.
    assert uniformity(points, t=1000) == pytest.approx(-4000)


def test_circle_has_a_closed_form():
    # ||x - y||^2 = 2 - 2 cos, so the mean is exp(-4) I_0(4), t = 2.
    angles = torch.arange(2000, dtype=torch.float64) * (2 * math.pi / 2000)
    points = torch.stack([angles.cos(), angles.sin()], dim=1)
    expected = -4 + math.log(np.i0(4.0))
    # The mean over distinct pairs lacks the n zero distances.
    assert uniformity(points) == pytest.approx(expected, abs=3e-3)


def test_subsample_is_seeded():
    points = random_points(400)
    first, again, other = (
        uniformity(points, max_samples=100, seed=s) for s in (0, 0, 1)
    )
    assert first == again != other
    assert first == pytest.approx(uniformity(points), abs=0.1)
    assert uniformity(points, max_samples=400) == uniformity(points)


@pytest.mark.parametrize(
    'points, options, found',
    [
        (torch.ones(1, 3), {}, 'two samples, got 1'),
        (torch.ones(4, 3), dict(t=0), 't must be.*0'),
        (torch.zeros(4, 3), {}, '4 of 4.*zero norm'),
        (torch.full((4, 3), math.nan), {}, '4 of 4.*finite'),
    ],
)
def test_bad_arguments(points, options, found):
    with pytest.raises(ValueError, match=found):
        uniformity(points, **options)
