# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

from pauc_mm.evaluation.functional import alignment


def loop(x, y, alpha):
    """The definition, one pair at a time."""
    total = 0
    for a, b in zip(x.tolist(), y.tolist()):
        a = [value / math.hypot(*a) for value in a]
        b = [value / math.hypot(*b) for value in b]
        total += math.dist(a, b) ** alpha
    return total / len(x)


@pytest.mark.parametrize('alpha', [0.5, 1.0, 2.0, 3.0])
def test_equals_its_definition(alpha):
    x, y = torch.randn(2, 40, 5).double()
    expected = loop(x, 7 * y, alpha)
    assert alignment(x, 7 * y, alpha) == pytest.approx(expected, rel=1e-12)
    got = alignment(x.numpy(), y.numpy(), alpha)
    assert got == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize('degrees', [0.0, 0.01, 60.0, 180.0])
def test_rotation_on_the_circle(degrees):
    angle = math.radians(degrees)
    start = torch.rand(30, dtype=torch.float64) * 6
    x, y = (
        torch.stack([a.cos(), a.sin()], dim=1) for a in (start, start + angle)
    )
    chord = 2 * math.sin(angle / 2)
    assert alignment(x, y) == pytest.approx(chord**2, rel=1e-9, abs=1e-30)
    assert alignment(x, y, alpha=1) == pytest.approx(
        chord, rel=1e-9, abs=1e-15
    )


def test_unrelated_pairs_give_two():
    x, y = np.random.default_rng(0).standard_normal((2, 20000, 8))
    assert alignment(x, y) == pytest.approx(2, abs=0.02)


def test_swapping_views_changes_nothing_and_pairing_does():
    x = torch.randn(50, 6)
    y = x + 0.1 * torch.randn(50, 6)
    assert alignment(x, y) == alignment(y, x)
    assert alignment(x, y) < 0.1 < alignment(x, y.roll(1, 0))


def test_bad_arguments():
    x = torch.randn(4, 3)
    with pytest.raises(ValueError, match=r'\(4, 3\) and \(3, 3\)'):
        alignment(x, x[:3])
    with pytest.raises(ValueError, match=r'\(4, 3\) and \(4, 1\)'):
        alignment(x, x[:, :1])
    with pytest.raises(ValueError, match='1 of 4 embeddings y.*zero norm'):
        alignment(x, torch.tensor([[0.0] * 3] + [[1.0] * 3] * 3))
    with pytest.raises(ValueError, match='2 of 4 embeddings x.*not finite'):
        alignment(torch.tensor([[math.nan], [1], [math.inf], [1]]), x[:, :1])
    for alpha in (0, -1, math.nan):
        with pytest.raises(ValueError, match=f'alpha.*{alpha}'):
            alignment(x, x, alpha)
