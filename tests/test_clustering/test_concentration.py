# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

from pauc_mm.clustering import concentration


def phi_of(embeddings, centroids, assignments, temperature, alpha=10.0):
    distances = (embeddings - centroids[assignments]).norm(dim=1)
    sizes = torch.bincount(assignments, minlength=len(centroids))
    totals = torch.bincount(assignments, distances, len(centroids))
    means = totals / sizes.clamp(min=1)
    return concentration(means, sizes, temperature, alpha)


def reference(embeddings, centroids, assignments, temperature, alpha=10):
    """Eq. 12 of PCL as a loop, with the official post-processing."""
    phi = np.zeros(len(centroids))
    for c in range(len(centroids)):
        members = [
            embeddings[z]
            for z in range(len(embeddings))
            if assignments[z] == c
        ]
        if len(members) > 1:
            total = sum(
                math.sqrt(((v - centroids[c]) ** 2).sum()) for v in members
            )
            phi[c] = total / (len(members) * math.log(len(members) + alpha))
    largest = phi.max()
    for c in range(len(centroids)):
        if list(assignments).count(c) <= 1:
            phi[c] = largest
    phi = np.clip(phi, np.percentile(phi, 10), np.percentile(phi, 90))
    return temperature * phi / phi.mean()


@pytest.mark.parametrize(
    'temperature, alpha', [(0.1, 10), (0.2, 10), (0.1, 3)]
)
@pytest.mark.parametrize('num_clusters', [1, 3, 17])
def test_equals_a_loop(num_clusters, temperature, alpha):
    rng = np.random.default_rng(num_clusters)
    embeddings = rng.normal(size=(60, 5))
    centroids = rng.normal(size=(num_clusters, 5))
    assignments = rng.integers(num_clusters, size=60)
    got = phi_of(
        torch.from_numpy(embeddings),
        torch.from_numpy(centroids),
        torch.from_numpy(assignments),
        temperature,
        alpha,
    )
    assert got.dtype == torch.float32
    want = reference(embeddings, centroids, assignments, temperature, alpha)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-6)


def test_the_smoothing_is_that_of_pcl_unless_told_otherwise():
    distances, sizes = torch.tensor([1.0, 2.0, 4.0, 8.0]), [2, 7, 30, 4]
    sizes = torch.tensor(sizes)
    want = concentration(distances, sizes, 0.1, alpha=10)
    torch.testing.assert_close(concentration(distances, sizes, 0.1), want)


def test_singletons_and_empty_clusters_take_the_largest():
    embeddings = torch.tensor([[0.0], [2.0], [10.0], [14.0], [50.0]])
    centroids = torch.tensor([[1.0], [12.0], [50.0], [99.0]])
    assignments = torch.tensor([0, 0, 1, 1, 2])
    phi = phi_of(embeddings, centroids, assignments, 0.1)
    # distances 1 and 2, so phi is 1 : 2 before clipping; both clusters that
    # cannot be estimated take 2
    want = reference(
        embeddings.numpy(), centroids.numpy(), assignments.numpy(), 0.1
    )
    np.testing.assert_allclose(phi.numpy(), want, rtol=1e-6)
    assert phi[1] == phi[2] == phi[3]
    # as does one of fewer than two, where members are counted in shares
    distances = torch.tensor([1.0, 8.0, 2.0])
    shares, whole = (
        concentration(distances, torch.tensor([4.0, few, 2.0]), 0.1)
        for few in (1.5, 0.0)
    )
    assert torch.equal(shares, whole)


def test_all_singletons_are_finite():
    # The official code divides 0 by 0 here and trains on NaN.
    embeddings = torch.eye(4)
    phi = phi_of(embeddings, embeddings, torch.arange(4), 0.2)
    torch.testing.assert_close(phi, torch.full((4,), 0.2))


def test_identical_points_are_finite():
    embeddings = torch.ones(6, 3)
    assignments = torch.tensor([0, 0, 0, 1, 1, 1])
    phi = phi_of(embeddings, torch.ones(2, 3), assignments, 0.1)
    torch.testing.assert_close(phi, torch.full((2,), 0.1))


def test_a_single_tight_cluster_keeps_a_positive_phi():
    # Ten clusters of two; the first has its members on the centroid.
    offset = torch.arange(10.0).repeat_interleave(2)
    centroids = torch.arange(10.0)[:, None] * 100
    sign = torch.tensor([1.0, -1.0]).repeat(10)
    assignments = torch.arange(10).repeat_interleave(2)
    embeddings = centroids[assignments] + (sign * offset)[:, None]
    phi = phi_of(embeddings, centroids, assignments, 0.1)
    assert (phi > 0).all()
    assert phi.mean().item() == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize('scale', [1.0, 100.0])
def test_a_phi_of_zero_is_raised_to_the_smallest_positive_one(scale):
    # Two of ten are tight, so that the 10th percentile is zero as well.
    distances = torch.tensor([0.0, 0, 3, 4, 5, 6, 7, 8, 9, 9]) * scale
    phi = concentration(distances, torch.full((10,), 5), 0.1)
    want = torch.tensor([3.0, 3, 3, 4, 5, 6, 7, 8, 9, 9])
    torch.testing.assert_close(phi, 0.1 * want / want.mean())


@pytest.mark.parametrize('temperature', [0, -0.1, float('nan')])
def test_refuses_a_temperature_that_is_not_positive(temperature):
    with pytest.raises(ValueError, match='temperature must be a positive'):
        phi_of(torch.eye(2), torch.eye(2), torch.arange(2), temperature)
