# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from pauc_mm.clustering import FaissKMeans


def unit_blobs(num_clusters=4, size=30, dim=8, noise=0.05, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(num_clusters), size)
    centres = np.linalg.qr(rng.normal(size=(dim, dim)))[0][:num_clusters]
    points = centres[labels] + noise * rng.normal(size=(len(labels), dim))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32), labels


@pytest.mark.parametrize('spherical', [True, False])
def test_finds_separate_blobs(spherical):
    points, labels = unit_blobs()
    result = FaissKMeans(spherical=spherical).fit(points, 4, seed=1)
    assert adjusted_rand_score(labels, result.assignments) == 1.0
    expected = np.mean(
        [
            ((p - result.centroids[a]) ** 2).sum()
            for p, a in zip(points, result.assignments)
        ]
    )
    assert result.objective == pytest.approx(expected, rel=1e-5)
    norms = np.linalg.norm(result.centroids, axis=1)
    assert np.allclose(norms, 1, atol=1e-5) is spherical
    assert result.num_trained == len(points)


def test_spherical_assignment_agrees_with_the_logits():
    # With plain L2 some samples are nearest to another normalised prototype
    # than the one they are assigned to; with spherical k-means none is.
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2000, 16)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    result = FaissKMeans(nredo=1).fit(points, 50, seed=0)
    nearest = (points @ result.centroids.T).argmax(axis=1)
    assert (nearest == result.assignments).mean() == 1.0


def test_same_seed_same_result_and_global_state_untouched():
    points, _ = unit_blobs(noise=0.5)
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    first = FaissKMeans(nredo=2).fit(points, 7, seed=5)
    second = FaissKMeans(nredo=2).fit(points, 7, seed=5)
    other = FaissKMeans(nredo=1, niter=1).fit(points, 7, seed=6)
    assert np.array_equal(first.assignments, second.assignments)
    assert np.array_equal(first.centroids, second.centroids)
    assert not np.array_equal(first.assignments, other.assignments)
    assert np.array_equal(np.random.get_state()[1], before)


def test_identical_points_leave_one_cluster():
    points = np.ones((20, 3), np.float32) / 3**0.5
    result = FaissKMeans().fit(points, 5, seed=0)
    assert len(result.centroids) == len(np.unique(result.assignments))
    assert result.assignments.max() == len(result.centroids) - 1
    assert result.objective == pytest.approx(0, abs=1e-6)


def test_subsampling_is_reported():
    points, _ = unit_blobs()
    result = FaissKMeans(max_points_per_centroid=10).fit(points, 4, seed=0)
    assert result.num_trained == 40
    assert len(result.assignments) == 120


@pytest.mark.parametrize('k', [0, 121])
def test_refuses_a_k_that_does_not_fit(k):
    points, _ = unit_blobs()
    with pytest.raises(ValueError, match=f'k={k}'):
        FaissKMeans().fit(points, k, seed=0)


@pytest.mark.parametrize(
    'argument, value', [('niter', 0), ('nredo', -1), ('device', 'tpu')]
)
def test_refuses_bad_arguments(argument, value):
    with pytest.raises(ValueError, match=f'kmeans.{argument}'):
        FaissKMeans(**{argument: value})


def test_gpu_where_there_is_none_is_refused():
    import faiss

    if getattr(faiss, 'get_num_gpus', lambda: 0)():
        pytest.skip('this machine has a GPU for faiss')
    assert FaissKMeans(device='auto').gpu_id() is False
    with pytest.raises(RuntimeError, match="kmeans.device='gpu'"):
        FaissKMeans(device='gpu').gpu_id()


def test_missing_faiss_says_what_to_install():
    code = (
        'import sys; sys.modules["faiss"] = None\n'
        'from pauc_mm.clustering import FaissKMeans\n'
        'try:\n'
        '    FaissKMeans().gpu_id()\n'
        'except ImportError as error:\n'
        '    print(error)\n'
    )
    output = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert 'pip install faiss-cpu' in output
