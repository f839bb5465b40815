# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

from pauc_mm.evaluation.functional import void_fraction


def on_circle(degrees):
    angles = torch.as_tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def loop(points, bins, threshold):
    """The definition: one sample, then one arc at a time."""
    counts = [0] * bins
    for x, y in points.tolist():
        degrees = math.degrees(math.acos(x / math.hypot(x, y)))
        degrees = degrees if y >= 0 else 360 - degrees
        counts[int(((degrees + 180) % 360) * bins / 360)] += 1
    uniform = len(points) / bins
    return sum(count < threshold * uniform for count in counts) / bins


@pytest.mark.parametrize('bins, threshold', [(10, 0.1), (36, 0.5), (7, 1.0)])
def test_equals_its_definition(bins, threshold):
    points = torch.randn(500, 2).double() + torch.tensor([2.0, 1.0])
    expected = loop(points, bins, threshold)
    assert 0 < expected < 1
    assert void_fraction(points, bins, threshold) == expected
    assert void_fraction(3 * points.numpy(), bins, threshold) == expected


@pytest.mark.parametrize('degrees', [0.0, 1.8, 90.0, 179.9999999, 180, -180])
def test_collapse_to_a_point(degrees):
    points = on_circle([degrees]).expand(1000, 2)
    assert void_fraction(points) == pytest.approx(0.99, abs=1e-12)
    # Half a turn to either side is one arc.
    sides = torch.tensor([[-1, 0.0], [-1, -0.0]]).repeat(500, 1)
    assert void_fraction(sides) == pytest.approx(0.99, abs=1e-12)
    noisy = points + 1e-9 * torch.randn(1000, 2).double()
    assert void_fraction(noisy) in (0.98, 0.99)


def test_even_circle_has_no_voids():
    points = on_circle(torch.arange(1000) * 0.36 + 0.1)
    assert void_fraction(points) == 0
    # ten in each arc: none has fewer than the uniform number
    assert void_fraction(points, threshold=1) == 0
    random = np.random.default_rng(0).standard_normal((20000, 2))
    assert void_fraction(random) == 0


@pytest.mark.parametrize('share', [0.25, 0.5, 0.9])
def test_share_of_an_arc(share):
    # Arcs begin at -180 degrees; these fill whole ones.
    points = on_circle(-180 + 360 * share * (torch.arange(4000) + 0.5) / 4000)
    assert void_fraction(points) == pytest.approx(1 - share, abs=1e-12)


def test_threshold_is_a_share_of_the_uniform_number():
    # 100 samples an arc in nine arcs, and 9 or 10 in the tenth.
    degrees = torch.arange(9).repeat_interleave(100) * 36.0 + 10
    for tenth, void in ((9, 0.1), (10, 0.0)):
        points = on_circle(torch.cat([degrees, torch.full((tenth,), 334.0)]))
        # The uniform number is 90.9 or 91.
        assert void_fraction(points, bins=10, threshold=0.109) == void
    # A tenth of 100 arcs by default, of 20 samples here.
    degrees = torch.arange(99).repeat_interleave(20) * 3.6 + 1
    for last, void in ((1, 0.01), (3, 0.0)):
        points = on_circle(torch.cat([degrees, torch.full((last,), 358.0)]))
        assert void_fraction(points) == pytest.approx(void)


def test_bad_arguments():
    points = on_circle(torch.arange(500))
    with pytest.raises(ValueError, match=r'\(N, 2\), got \(500, 3\)'):
        void_fraction(torch.randn(500, 3))
    with pytest.raises(ValueError, match='500.*too few.*1000 or.*bins=50'):
        void_fraction(points)
    assert void_fraction(points, bins=50) == 0
    with pytest.raises(ValueError, match='bins.*1'):
        void_fraction(points, bins=1)
    for threshold in (0, 1.5, math.nan):
        with pytest.raises(ValueError, match=f'threshold.*{threshold}'):
            void_fraction(points, bins=10, threshold=threshold)
    points[3] = 0
    with pytest.raises(ValueError, match='1 of 500.*zero norm'):
        void_fraction(points, bins=10)
