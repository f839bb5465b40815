# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

from pauc_mm.evaluation import unique_prototypes


def greedy(points, epsilon):
    """The definition, one comparison at a time."""
    kept = []
    for x in points.double().tolist():
        for y in kept:
            cosine = sum(a * b for a, b in zip(x, y))
            if 1 - cosine / math.hypot(*x) / math.hypot(*y) < epsilon:
                break
        else:
            kept.append(x)
    return len(kept) / len(points)


@pytest.mark.parametrize('chunk', [1, 5, 32, 512])
def test_equals_greedy_loop(chunk):
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(150, 3, generator=generator)
    epsilons = (0.01, 0.025, 0.1, 0.25, 0.5, 1.5)
    got = unique_prototypes(points, epsilons, chunk=chunk)
    assert got == {e: greedy(points, e) for e in epsilons}
    assert 0 < got[1.5] < got[0.5] < got[0.01] < 1


def test_order_decides_but_the_first_is_always_kept():
    # b is near both a and c, which are not near each other.
    angles = torch.tensor([0.0, 0.3, 0.6], dtype=torch.float64)
    a, b, c = torch.stack([angles.cos(), angles.sin()], dim=1)
    epsilon = 0.1  # 1 - cos(0.3) is 0.045, 1 - cos(0.6) is 0.175
    for order, expected in (((a, b, c), 2 / 3), ((b, a, c), 1 / 3)):
        got = unique_prototypes(torch.stack(order), (epsilon,))
        assert got == {epsilon: expected}


@pytest.mark.parametrize('chunk', [4, 512])
def test_copies_are_redundant(chunk):
    points = torch.eye(5).repeat(4, 1) * torch.rand(20, 1).add(0.1)
    got = unique_prototypes(points, chunk=chunk)
    assert got == dict.fromkeys((0.025, 0.1, 0.25, 0.5), 0.25)
    assert unique_prototypes(points.numpy(), chunk=chunk) == got


def test_random_directions_in_many_dimensions_are_unique():
    points = np.random.default_rng(0).standard_normal((300, 256))
    assert unique_prototypes(points, (0.025, 0.5)) == {0.025: 1, 0.5: 1}


@pytest.mark.parametrize('epsilons', [(), (0.1, 0), (-1,)])
def test_bad_epsilons(epsilons):
    with pytest.raises(ValueError, match='epsilons'):
        unique_prototypes(torch.eye(3), epsilons)


def test_zero_prototypes_are_refused():
    with pytest.raises(ValueError, match='1 of 3 prototypes.*zero norm'):
        unique_prototypes(torch.tensor([[1.0, 0], [0, 0], [0, 1]]))
