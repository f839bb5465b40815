# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
import torch.nn.functional as F

from pauc_mm.evaluation.functional import koleo

POINTS = torch.randn(30, 5, generator=torch.Generator().manual_seed(0))


def dinov2_loss(points):
    """Return the loss of dinov2/loss/koleo_loss.py, without its autocast."""
    points = F.normalize(points, eps=1e-8, p=2, dim=-1)
    dots = torch.mm(points, points.t())
    dots.view(-1)[:: len(points) + 1].fill_(-1)
    nearest = points[dots.max(dim=1)[1]]
    distances = torch.nn.PairwiseDistance(2, eps=1e-8)(points, nearest)
    return -torch.log(distances + 1e-8).mean().item()


@pytest.mark.parametrize('chunk', [7, 15, 30, 2048])
def test_equals_the_loss_of_dinov2_for_every_chunk(chunk):
    expected = dinov2_loss(POINTS.double())
    assert koleo(POINTS * 7, chunk=chunk) == pytest.approx(expected, abs=1e-6)
    assert koleo(POINTS.numpy()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('number', [2, 6, 100])
def test_a_regular_polygon_has_a_closed_form(number):
    angles = torch.arange(number, dtype=torch.float64) / number * 2 * math.pi
    points = torch.stack([angles.cos(), angles.sin()], dim=1)
    expected = -math.log(2 * math.sin(math.pi / number))
    assert koleo(points, chunk=16) == pytest.approx(expected, abs=1e-6)


def test_copies_are_worth_minus_log_of_epsilon():
    points = torch.cat([POINTS, 2 * POINTS])
    assert koleo(points) == pytest.approx(-math.log(1e-8), abs=1e-6)


def test_distances_below_the_rounding_of_cosines_count():
    points = torch.tensor([[1.0, 0], [1, 1e-7]]).double()
    assert koleo(points) == pytest.approx(-math.log(1e-7 + 1e-8), abs=1e-6)


@pytest.mark.parametrize(
    'points, found',
    [
        (torch.ones(1, 3), 'two prototypes, got 1'),
        (torch.zeros(4, 3), '4 of 4 prototypes.*zero norm'),
        (torch.full((4, 3), math.nan), '4 of 4 prototypes.*finite'),
    ],
)
def test_bad_arguments(points, found):
    with pytest.raises(ValueError, match=found):
        koleo(points, 'prototypes')
