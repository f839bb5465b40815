# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import importlib
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pauc_mm.evaluation.functional import clid, intrinsic_dimension

POINTS = torch.randn(120, 6, generator=torch.Generator().manual_seed(0))
CLUSTERS = (POINTS[:, 0] > 0).long() + 2 * (POINTS[:, 1] > 0)


def two_nn(points):
    """Return scikit-dimension's linear TwoNN, one sample at a time."""
    ratios = []
    for i, point in enumerate(points):
        distances = sorted(
            math.dist(point, other) for j, other in enumerate(points) if j != i
        )
        ratios.append(distances[1] / distances[0])
    kept = sorted(ratios)[: int(len(ratios) * 0.9)]
    share = np.arange(1, 1 + len(kept)) / len(ratios)
    slope, *_ = np.linalg.lstsq(
        np.log(kept)[:, None], -np.log(1 - share), rcond=None
    )
    return slope[0]


@pytest.mark.parametrize('chunk', [7, 1024])
def test_dimension_equals_the_formula_of_scikit_dimension(monkeypatch, chunk):
    module = importlib.import_module(intrinsic_dimension.__module__)
    monkeypatch.setattr(module, '_CHUNK', chunk)
    expected = two_nn(POINTS.double().tolist())
    found = intrinsic_dimension(POINTS)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize('dim', [1, 2, 5])
def test_dimension_of_a_cube_in_a_larger_space(dim):
    generator = torch.Generator().manual_seed(1)
    cube = torch.rand(1500, dim, generator=generator)
    axes = torch.linalg.qr(torch.randn(20, dim, generator=generator))[0]
    found = intrinsic_dimension(cube.double() @ axes.T.double())
    # The slope's standard error is about dim / sqrt(N).
    assert found == pytest.approx(dim, rel=0.12)


def test_the_fewest_points():
    expected = two_nn(POINTS[:20].double().tolist())
    assert intrinsic_dimension(POINTS[:20]) == pytest.approx(expected)
    with pytest.raises(ValueError, match='20 .*got 19'):
        intrinsic_dimension(POINTS[:19])


def test_copies_are_left_out():
    found = intrinsic_dimension(torch.cat([POINTS, POINTS[:50]]))
    assert found == pytest.approx(intrinsic_dimension(POINTS), rel=1e-12)


def test_learnability_is_the_accuracy_of_each_by_the_others():
    unit = F.normalize(POINTS.double(), dim=1)
    cosines = (unit @ unit.T).fill_diagonal_(-math.inf)
    right = CLUSTERS[cosines.argmax(dim=1)] == CLUSTERS
    found = clid(3 * POINTS, CLUSTERS.tolist())
    assert found.learnability == pytest.approx(right.double().mean().item())
    assert 0.5 < found.learnability < 1
    assert found.dimension == pytest.approx(
        intrinsic_dimension(unit), rel=1e-4
    )


@pytest.mark.parametrize(
    'points, clusters, found',
    [
        (POINTS, CLUSTERS[:9], r'clusters.*\(120,\)'),
        (torch.ones(30, 4), torch.arange(30), '20.*got 1'),
        (torch.full((30, 4), math.nan), torch.arange(30), '30 of 30.*finite'),
    ],
)
def test_bad_arguments(points, clusters, found):
    with pytest.raises(ValueError, match=found):
        clid(points, clusters)
