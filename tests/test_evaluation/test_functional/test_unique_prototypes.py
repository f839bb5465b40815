# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

from pauc_mm.evaluation.functional import (
    CURVE_EPSILONS,
    copied_prototypes,
    unique_mask,
    unique_prototypes,
)

slow = pytest.mark.slow


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


@pytest.mark.parametrize('chunk', [3, 64])
def test_each_epsilon_is_a_run_of_its_own(chunk):
    # What a small epsilon drops a larger one can keep, so that the sets that
    # are kept are not nested.
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(12, 1, 4, generator=generator)
    points = centers + 0.3 * torch.randn(12, 20, 4, generator=generator)
    points = points.transpose(0, 1).flatten(0, 1)
    epsilons = (0.75, 0.002, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
    got = unique_prototypes(points, epsilons, chunk=chunk)
    assert got == {e: greedy(points, e) for e in epsilons}
    assert list(got) == list(epsilons)
    for epsilon in epsilons:
        alone = unique_prototypes(points, (epsilon,), chunk=chunk)
        assert alone == {epsilon: got[epsilon]}


def test_larger_epsilons_do_not_keep_a_subset():
    # On the circle at 0, 0.3, 0.6 and 0.8: 0.1 keeps 0 and 0.6, 0.03 all but
    # 0.8 (1 - cos 0.2 is 0.02), 0.2 only 0 and 0.8 (1 - cos 0.8 is 0.3).
    angles = torch.tensor([0.0, 0.3, 0.6, 0.8], dtype=torch.float64)
    points = torch.stack([angles.cos(), angles.sin()], dim=1)
    for chunk in (1, 2, 4):
        got = unique_prototypes(points, (0.03, 0.1, 0.2), chunk)
        assert got == {0.03: 0.75, 0.1: 0.5, 0.2: 0.5}


@pytest.mark.parametrize('chunk', [1, 2, 3, 6])
def test_what_an_epsilon_drops_it_does_not_compare_with_later(chunk):
    # 0.09 is near 0 for both; 1.0 is kept by the small one alone, and with it
    # begins a chunk; 0.15 is near 0.09, but not near 0.
    angles = torch.tensor([0, 3, 0.09, 1.0, 0.15, 2.8], dtype=torch.float64)
    points = torch.stack([angles.cos(), angles.sin()], dim=1)
    got = unique_prototypes(points, (0.005, 0.5), chunk)
    assert got == {0.005: 5 / 6, 0.5: 2 / 6}


def test_values_are_compared_as_doubles_whatever_their_type():
    # 1 - cos is 8e-10, which float32 rounds to 0.
    points = torch.tensor([[1.0, 0.0], [1.0, 4e-5]], dtype=torch.float64)
    for given in (points, points.float()):
        assert unique_prototypes(given, (1e-10, 1e-9)) == {1e-10: 1, 1e-9: 0.5}
    # 0.1 in float32 is 1.5e-9 more.
    cosine = 0.9 - 1e-10
    points = [[1.0, 0.0], [cosine, math.sqrt(1 - cosine**2)]]
    assert unique_prototypes(np.array(points), (0.1,)) == {0.1: 1}


def exact_distance(x, y):
    """Cosine distance with one rounding a step."""
    dot = math.fsum(a * b for a, b in zip(x, y))
    norms = [math.sqrt(math.fsum(a * a for a in v)) for v in (x, y)]
    return 1 - dot / norms[0] / norms[1]


@pytest.mark.parametrize('chunk', [1, 16, 512])
def test_beside_an_epsilon_float64_decides(chunk):
    # Epsilons 1e-12 below and above distances that occur: float32 takes half
    # of them for the other side.
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randn(12, 1, 256, generator=generator).repeat(1, 2, 1)
    pairs[:, 1] += 0.3 * torch.randn(12, 256, generator=generator)
    points = pairs.transpose(0, 1).flatten(0, 1)
    distances = [exact_distance(*pair.double().tolist()) for pair in pairs]
    epsilons = [d + sign * 1e-12 for d in distances for sign in (-1, 1)]
    # The copies of a pair are as near as its distance; others are far.
    kept = [12 + sum(d >= e for d in distances) for e in epsilons]
    got = unique_mask(points, epsilons, chunk)
    assert got.sum(dim=1).tolist() == kept
    for index, epsilon in enumerate(epsilons):
        copied = copied_prototypes(points, got[index], epsilon)
        for pair, d in enumerate(distances):
            assert copied[12 + pair] == (pair if d < epsilon else 12 + pair)


def test_an_epsilon_that_occurs_gives_the_same_in_any_chunk():
    points = torch.randn(20, 256, generator=torch.Generator().manual_seed(0))
    unit = points.double() / points.double().norm(dim=1, keepdim=True)
    epsilons = (1 - unit @ unit.T)[0, 1:].tolist()
    want = unique_mask(points, epsilons, 512)
    for chunk in (1, 7):
        assert torch.equal(unique_mask(points, epsilons, chunk), want)


def test_corners_of_a_cube_whose_distances_are_exactly_epsilon():
    # In 16 dimensions the corners that differ in one coordinate have a
    # distance of exactly 1/8: all are kept at 1/8, half just above it.
    bits = torch.arange(256)[:, None] >> torch.arange(8) & 1
    points = torch.cat([2.0 * bits - 1, torch.ones(256, 8)], dim=1)
    got = unique_prototypes(points, (0.125, math.nextafter(0.125, 1)))
    assert list(got.values()) == [1, 0.5]


def test_matmul_in_lower_precision_changes_nothing(monkeypatch):
    points = torch.randn(99, 8, generator=torch.Generator().manual_seed(0))
    want = unique_prototypes(points)
    reduced = lambda: 'medium'  # noqa: E731
    monkeypatch.setattr(torch, 'get_float32_matmul_precision', reduced)
    monkeypatch.setattr(torch.Tensor, 'float', lambda self: self.bfloat16())
    assert unique_prototypes(points) == want


def planted(total, distinct, dim, seed=0):
    """Prototypes in groups, pairs of which are within 0.01, and the groups.

    ``distinct`` random directions, each with a copy or more as far as the
    total allows, of any length and in any order.
    """
    generator = torch.Generator().manual_seed(seed)
    centers = torch.randn(distinct, dim, generator=generator)
    group = torch.randint(distinct, (total - distinct,), generator=generator)
    group = torch.cat([torch.arange(distinct), group])
    group = group[torch.randperm(total, generator=generator)]
    points = torch.nn.functional.normalize(centers, dim=1)[group]
    noise = torch.randn(total, dim, generator=generator)
    noise -= (noise * points).sum(dim=1, keepdim=True) * points
    # At most 0.0025 from the centre: a chord of 0.0707, half of that of 0.01.
    points += 0.07 * torch.nn.functional.normalize(noise, dim=1)
    points *= torch.rand(total, 1, generator=generator) + 0.1
    return points, group


@pytest.mark.parametrize(
    'total, distinct, dim',
    [
        (8_192, 969, 24),  # iBOT, ViT-L/16
        pytest.param(60_000, 908, 24, marks=slow),  # DINO, ResNet-50
        pytest.param(65_536, 939, 24, marks=slow),  # DINO-vMF, ViT-B/16
        pytest.param(65_536, 7_052, 32, marks=slow),  # CARP
        pytest.param(65_536, 65_536, 48, marks=slow),  # CARP, decoupled
        pytest.param(16_384, 16_383, 48, marks=slow),  # CAPI
    ],
)
def test_published_counts(total, distinct, dim):
    points, group = planted(total, distinct, dim)
    (kept,) = unique_mask(points, (0.025,))
    assert int(kept.sum()) == distinct
    copied = copied_prototypes(points, kept, 0.025)
    assert torch.equal(group[copied], group)
    assert torch.equal(copied == torch.arange(total), kept)
    assert (copied <= torch.arange(total)).all()


def test_curve():
    points = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    curve = unique_prototypes(points, CURVE_EPSILONS)
    assert {0.025, 0.1, 0.25, 0.5} <= set(curve)
    assert list(curve) == sorted(curve)
    assert (min(curve), max(curve)) == (0.001, 1.0)
    assert curve == {e: greedy(points, e) for e in curve}
    shares = list(curve.values())
    assert shares == sorted(shares, reverse=True)


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


@pytest.mark.parametrize('chunk', [1, 2, 512])
def test_a_distance_of_epsilon_is_kept(chunk):
    got = unique_prototypes(torch.eye(5), (1.0, 1.001), chunk)
    assert got == {1.0: 1, 1.001: 0.2}


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
