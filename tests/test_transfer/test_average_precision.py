# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import numpy as np
import pytest

from pauc_mm.transfer import average_precision


def reference(scores, positive, mode):
    """Compute it by definition: every threshold, in exact fractions."""
    curve = []
    total = sum(map(int, positive))
    for threshold in scores:
        chosen = [p for s, p in zip(scores, positive) if s >= threshold]
        hits = sum(map(int, chosen))
        curve.append((Fraction(hits, total), Fraction(hits, len(chosen))))

    def best(recall):
        return max(p for r, p in curve if r >= recall)

    if mode == '11-point':
        return float(sum(best(Fraction(t, 10)) for t in range(11)) / 11)
    steps = [Fraction(0), *sorted({r for r, _ in curve})]
    return float(sum((b - a) * best(b) for a, b in zip(steps, steps[1:])))


@pytest.mark.parametrize('mode', ['area', '11-point'])
@pytest.mark.parametrize('levels', [3, 1000])
def test_the_definition(mode, levels):
    rng = np.random.default_rng(0)
    for number in (1, 2, 7, 30):
        for _ in range(10):
            scores = rng.integers(levels, size=number).astype(float)
            positive = rng.random(number) < 0.4
            positive[rng.integers(number)] = True
            expected = reference(scores, positive, mode)
            found = average_precision(scores, positive, mode)
            assert found == pytest.approx(expected, abs=1e-12)


def test_by_hand():
    # Ranked + - + -: precision 1 up to recall 1/2, then 2/3.
    scores, positive = [4, 3, 2, 1], [True, False, True, False]
    area = average_precision(scores, positive)
    assert area == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    points = average_precision(scores, positive, '11-point')
    assert points == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)


def test_the_largest_precision_at_a_recall_or_beyond():
    # Ranked - + +: 1/2, then 2/3, and so 2/3 throughout; the plain average
    # precision, without the envelope, is 7/12.
    assert average_precision([3, 2, 1], [0, 1, 1]) == pytest.approx(2 / 3)


def test_equal_scores_have_no_order():
    for positive in ([1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1]):
        assert average_precision([5, 5, 5, 5], positive) == 0.5


def test_wrong_input():
    with pytest.raises(ValueError, match='positive .* none'):
        average_precision([1, 2], [False, False])
    with pytest.raises(ValueError, match='must be finite'):
        average_precision([1, np.nan], [True, False])
    with pytest.raises(ValueError, match=r'got \(3,\) and \(2,\)'):
        average_precision([1, 2, 3], [True, False])
    with pytest.raises(ValueError, match="mode .* got 'coco'"):
        average_precision([1], [True], 'coco')
