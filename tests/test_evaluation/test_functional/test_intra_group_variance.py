# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

from pauc_mm.evaluation.functional import intra_group_variance


def test_equals_a_loop():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(60, 4, generator=generator)
    groups = torch.randint(-1, 5, (60,), generator=generator) * 3
    unit = points.double().numpy()
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    variances = []
    for group in sorted({g for g in groups.tolist() if g >= 0}):
        members = unit[groups.numpy() == group]
        mean = members.mean(axis=0)
        variances.append(np.mean([sum((x - mean) ** 2) for x in members]))
    got = intra_group_variance(points, groups)
    assert len(variances) == 5
    assert got == pytest.approx(np.mean(variances), abs=1e-12)
    assert intra_group_variance(
        points.numpy() * 5, groups.numpy()
    ) == pytest.approx(got, abs=1e-6)


@pytest.mark.parametrize('angle', [0.0, 60.0, 180.0])
def test_two_points_at_an_angle(angle):
    # The mean of two unit vectors has length cos(angle / 2).
    radians = math.radians(angle)
    points = torch.tensor(
        [[1.0, 0.0], [math.cos(radians), math.sin(radians)]],
        dtype=torch.float64,
    )
    expected = math.sin(radians / 2) ** 2
    got = intra_group_variance(points, torch.tensor([0, 0]))
    assert got == pytest.approx(expected, abs=1e-12)


def test_coagulated_groups_and_singletons_are_zero():
    points = torch.eye(3).repeat_interleave(4, dim=0)
    assert intra_group_variance(points, torch.arange(12) // 4) == 0
    assert intra_group_variance(points, torch.arange(12)) == 0


def test_each_group_counts_once():
    # One group of variance 1 and two members, one of variance 0 and ten.
    points = torch.tensor([[1.0, 0], [-1, 0]] + [[0, 1]] * 10)
    groups = torch.tensor([0] * 2 + [1] * 10)
    assert intra_group_variance(points, groups) == pytest.approx(0.5)


def test_bad_arguments():
    with pytest.raises(ValueError, match='No sample belongs'):
        intra_group_variance(torch.ones(3, 2), torch.tensor([-1, -1, -1]))
    with pytest.raises(ValueError, match=r'shape \(3,\)'):
        intra_group_variance(torch.ones(3, 2), torch.tensor([0, 0]))
