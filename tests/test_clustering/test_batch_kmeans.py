# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pauc_mm.clustering import batch_kmeans
from tests.test_models.test_step_never_waits import RefuseToWait


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(n, k, seed=0):
    """The rows that k-means begins with."""
    return torch.randperm(n, generator=seeded(seed))[:k]


def blobs(n=120, dim=8, groups=6, spread=0.6, seed=0):
    generator = seeded(seed)
    centres = torch.randn(groups, dim, generator=generator)
    noise = torch.randn(n, dim, generator=generator) * spread
    return F.normalize(centres[torch.arange(n) % groups] + noise, dim=1)


def by_loops(points, start, iterations):
    """k-means in float64, sample by sample."""
    points = points.double().numpy()
    centroids = [points[i] for i in start]
    for _ in range(iterations):
        clusters = []
        for x in points:
            distances = [((x - c) ** 2).sum() for c in centroids]
            clusters.append(distances.index(min(distances)))
        for j in range(len(centroids)):
            members = [x for x, own in zip(points, clusters) if own == j]
            if members:
                centroids[j] = sum(members) / len(members)
    return clusters, np.stack(centroids)


@pytest.mark.parametrize('iterations', [1, 5])
@pytest.mark.parametrize('k', [1, 6, 40])
def test_equals_the_loop(k, iterations):
    points = blobs()
    clusters, centroids, counts = batch_kmeans(
        points, k, iterations, seeded(3)
    )
    want, means = by_loops(points, draw(120, k, 3), iterations)
    assert clusters.tolist() == want
    np.testing.assert_allclose(centroids, means, atol=1e-6)
    assert counts.tolist() == [want.count(j) for j in range(k)]


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_ends_where_scikit_learn_does(seed):
    cluster = pytest.importorskip('sklearn.cluster')
    points = blobs(n=300, groups=8, seed=seed)
    clusters, centroids, counts = batch_kmeans(points, 8, 60, seeded(seed))
    assert counts.min() > 0  # scikit-learn moves empty clusters
    theirs = cluster.KMeans(
        8,
        init=points[draw(300, 8, seed)].double().numpy(),
        n_init=1,
        max_iter=300,
        tol=0,
        algorithm='lloyd',
    ).fit(points.double().numpy())
    assert clusters.tolist() == theirs.labels_.tolist()
    np.testing.assert_allclose(centroids, theirs.cluster_centers_, atol=1e-5)


def test_centroids_are_means_with_the_gradient_of_means():
    points = blobs(n=30).double().requires_grad_()
    clusters, centroids, counts = batch_kmeans(points, 5, 3, seeded())
    assert centroids.dtype == counts.dtype == points.dtype
    weights = torch.randn(5, 8, generator=seeded(1)).double()
    (centroids * weights).sum().backward()
    for i, own in enumerate(clusters.tolist()):
        torch.testing.assert_close(points.grad[i], weights[own] / counts[own])
    clusters, centroids, _ = batch_kmeans(points.detach(), 5, 3, seeded())
    assert not centroids.requires_grad and not clusters.requires_grad


def test_no_row_is_drawn_twice():
    points = blobs(n=20).requires_grad_()
    clusters, centroids, _ = batch_kmeans(points, 20, 4, seeded())
    assert sorted(clusters.tolist()) == list(range(20))
    torch.testing.assert_close(centroids[clusters], points)
    # each is the mean of one, whose gradient is its own
    centroids.sum().backward()
    torch.testing.assert_close(points.grad, torch.ones_like(points))


def test_clusters_without_members_are_counted_as_such():
    # Four different points, three times each: at most four clusters.
    points = F.normalize(torch.randn(4, 8, generator=seeded()), dim=1)
    points = points.repeat(3, 1).requires_grad_()
    clusters, centroids, counts = batch_kmeans(points, 10, 5, seeded())
    assert (counts > 0).sum() == 4 and counts.sum() == 12
    assert set(clusters.tolist()) == set(counts.nonzero().flatten().tolist())
    start = points[draw(12, 10)]
    empty = counts == 0
    torch.testing.assert_close(centroids[empty], start[empty])
    centroids[empty].sum().backward()
    assert not points.grad.any()
    points.grad = None
    centroids = batch_kmeans(points, 10, 5, seeded())[1]
    centroids.sum().backward()
    assert points.grad.isfinite().all()


def test_same_seed_same_bits():
    points = blobs()
    one, same, other = (
        batch_kmeans(points, 9, 5, seeded(seed)) for seed in (4, 4, 5)
    )
    assert all(torch.equal(a, b) for a, b in zip(one, same))
    assert not torch.equal(one[0], other[0])
    torch.manual_seed(4)  # torch's own stream, unless told otherwise
    assert torch.equal(batch_kmeans(points, 9, 5)[0], one[0])


def test_nothing_waits_for_the_device():
    points = blobs().requires_grad_()
    with RefuseToWait():
        _, centroids, _ = batch_kmeans(points, 9, 5, seeded())
        centroids.sum().backward()


@pytest.mark.parametrize(
    'k, iterations, message',
    [(0, 5, 'k=0'), (31, 5, 'k=31'), (5, 0, 'iterations')],
)
def test_refuses_what_does_not_fit(k, iterations, message):
    with pytest.raises(ValueError, match=message):
        batch_kmeans(blobs(n=30), k, iterations)
