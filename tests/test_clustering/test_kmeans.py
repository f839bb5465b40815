# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from pauc_mm.clustering import (
    FaissKMeans,
    ShardedKMeans,
    build_kmeans,
    cluster_on_ranks,
)
from pauc_mm.clustering import kmeans as kmeans_file
from pauc_mm.utils import Shard

WARM = dict(niter=2, nredo=1)  # every redo from given centroids is the same


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
    expected = [
        ((p - result.centroids[a]) ** 2).sum() ** 0.5
        for p, a in zip(points, result.assignments)
    ]
    means = np.bincount(result.assignments, expected) / 30
    np.testing.assert_allclose(result.mean_distances, means, rtol=1e-4)
    assert result.objective == pytest.approx(
        np.mean(np.square(expected)), rel=1e-4
    )
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
    other = FaissKMeans(nredo=2).fit(points, 7, seed=6)
    assert np.array_equal(first.assignments, second.assignments)
    assert np.array_equal(first.centroids, second.centroids)
    assert not np.array_equal(first.assignments, other.assignments)
    assert np.array_equal(np.random.get_state()[1], before)


def test_as_many_clusters_as_points():
    points, _ = unit_blobs(noise=0.5)
    result = FaissKMeans(niter=2).fit(points, len(points), seed=0)
    assert result.objective == pytest.approx(0, abs=1e-6)
    assert sorted(result.assignments) == list(range(len(points)))
    assert len(result.centroids) == len(points)


def test_one_cluster_of_any_precision():
    points, _ = unit_blobs()
    result = FaissKMeans().fit(points.astype(np.float64), 1, seed=0)
    mean = points.sum(axis=0) / np.linalg.norm(points.sum(axis=0))
    np.testing.assert_allclose(result.centroids, mean[None], atol=1e-6)


def test_empty_clusters_are_dropped_and_the_others_renumbered(monkeypatch):
    # as faiss answers: inner products, nearest of four, all centroids
    centroids = np.eye(4, dtype=np.float32)
    nearest = np.array([0, 2, 2, 2, 0])
    scores = np.array([1, 0.5, 0.5, 0.5, 1], np.float32)
    kmeans = FaissKMeans()
    monkeypatch.setattr(
        kmeans, '_run', lambda *_: (scores, nearest, centroids)
    )
    result = kmeans.fit(centroids[nearest], 4, seed=0)
    assert result.assignments.tolist() == [0, 1, 1, 1, 0]
    assert np.array_equal(result.centroids, centroids[[0, 2]])
    assert result.mean_distances.tolist() == [0, 1]


def test_the_objective_is_a_mean_in_float64(monkeypatch):
    scores = np.full(3, 1e38, np.float32)  # whose sum is not a float32
    kmeans = FaissKMeans(spherical=False)
    result = scores, np.array([0, 1, 1]), np.eye(2, dtype=np.float32)
    monkeypatch.setattr(kmeans, '_run', lambda *_: result)
    result = kmeans.fit(np.eye(3, 2), 2, seed=0)
    assert result.objective == pytest.approx(1e38)
    assert result.mean_distances == pytest.approx([1e19, 1e19])


class FaissThatWritesDown:
    """What is asked of faiss, which has a GPU here."""

    def __init__(self, gpus=1):
        self.gpus, self.asked = gpus, {}

    def get_num_gpus(self):
        return self.gpus

    def Kmeans(self, dim, k, **options):
        self.asked.update(options, dim=dim, k=k)
        self.index, self.centroids = 'CPU index', np.eye(k, dim)
        return self

    def StandardGpuResources(self):
        return self

    def setTempMemory(self, size):
        self.asked['scratch'] = size

    def index_cpu_to_gpu(self, resources, gpu, index):
        assert (resources, index) == (self, 'CPU index')
        self.asked['gpu'] = gpu
        return 'GPU index'

    def train(self, features, init_centroids):
        self.asked.update(index=self.index, init=init_centroids)

    def assign(self, features):
        return np.ones(len(features)), np.arange(len(features))


@pytest.mark.parametrize('gpu', [False, 0, 3])
def test_what_faiss_is_asked_for(monkeypatch, gpu):
    points = np.eye(2, 5, dtype=np.float32)
    for init, runs in (
        (None, dict(niter=7, nredo=3)),
        (points, WARM),
        (points[:1], WARM),  # faiss draws the other
    ):
        faiss = FaissThatWritesDown()
        monkeypatch.setattr(kmeans_file, 'import_faiss', lambda f=faiss: f)
        kmeans = FaissKMeans(
            *(7, 3, 40, 4), warm_niter=2, spherical=init is None
        )
        monkeypatch.setattr(kmeans, 'gpu_id', lambda: gpu)
        kmeans.fit(points, 2, seed=11, init=init)
        on_gpu = dict(gpu=gpu, scratch=2**29, index='GPU index')
        assert faiss.asked == dict(
            **(dict(index='CPU index') if gpu is False else on_gpu),
            **runs,
            **dict(dim=5, k=2, seed=11, spherical=init is None, init=init),
            **dict(max_points_per_centroid=40, min_points_per_centroid=1),
        )


@pytest.mark.parametrize(
    'device, gpus, cuda, want',
    [
        ('auto', 1, True, 2),
        ('gpu', 1, True, 2),
        ('cpu', 1, True, False),
        ('auto', 0, True, False),
        ('auto', 1, False, False),
    ],
)
def test_a_gpu_is_taken_where_both_libraries_see_one(
    monkeypatch, device, gpus, cuda, want
):
    faiss = FaissThatWritesDown(gpus)
    monkeypatch.setattr(kmeans_file, 'import_faiss', lambda: faiss)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    monkeypatch.setattr(torch.cuda, 'current_device', lambda: 2)
    assert FaissKMeans(device=device).gpu_id() is want
    # float32 centroids and their squared norms, beside the scratch space
    assert FaissKMeans().gpu_memory(10, 7) == 2**29 + 10 * (7 + 1) * 4


def test_the_defaults_of_the_published_runs():
    assert vars(FaissKMeans()) == dict(
        **dict(niter=20, nredo=5, spherical=True, device='auto'),
        **dict(max_points_per_centroid=1000, min_points_per_centroid=10),
        **dict(warm_start=False, warm_niter=5),
    )
    assert FaissKMeans(spherical=False, warm_start=True).warm_start is True


def test_every_clustering_has_its_own_seed_and_start():
    calls = []

    class Recorder:
        def fit(self, features, k, seed, init=None):
            assert np.shares_memory(features, points)  # no copy
            calls.append((k, seed, init))
            return len(calls)

    points, _ = unit_blobs()
    starts = [points[:2], points[:4]]
    shard = Shard.of(torch.from_numpy(points))
    assert cluster_on_ranks(Recorder(), shard, [4, 6], [7, 8]) == [1, 2]
    cluster_on_ranks(Recorder(), shard, [2, 4], [9, 5], starts)
    assert [(k, seed) for k, seed, _ in calls] == [
        (4, 7),
        (6, 8),
        (2, 9),
        (4, 5),
    ]
    assert [init is start for (*_, init), start in zip(calls[2:], starts)] == [
        True,
        True,
    ]


def test_a_sharded_clusterer_gets_the_rows_of_the_rank(monkeypatch):
    calls = []
    monkeypatch.setattr(
        ShardedKMeans,
        'fit',
        lambda self, *args, **kwargs: calls.append((*args, kwargs)),
    )
    points, _ = unit_blobs()
    shard = Shard.of(torch.from_numpy(points))
    starts = [points[:2], points[:3]]
    cluster_on_ranks(ShardedKMeans(), shard, [4, 6], [7, 8])
    cluster_on_ranks(ShardedKMeans(), shard, [4, 6], [7, 8], starts)
    assert all(call[0] is shard for call in calls)
    want = [(4, 7, {}), (6, 8, {})]
    want += [(4, 7, dict(init=starts[0])), (6, 8, dict(init=starts[1]))]
    assert [call[1:] for call in calls] == want


def test_what_fails_on_this_rank_is_raised_as_it_is():
    shard = Shard.of(torch.from_numpy(unit_blobs()[0]))
    with pytest.raises(ValueError, match='k=121'):
        cluster_on_ranks(FaissKMeans(), shard, [4, 121], [0, 1])
    assert build_kmeans()[0].niter == 20


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


def lloyd(points, centroids, niter):
    """Spherical k-means from given centroids, the textbook way."""
    for _ in range(niter):
        nearest = (points @ centroids.T).argmax(axis=1)
        centroids = np.stack(
            [points[nearest == c].sum(axis=0) for c in range(len(centroids))]
        )
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    return centroids


def test_a_warm_start_continues_from_the_given_centroids():
    rng = np.random.default_rng(0)
    points, _ = unit_blobs(num_clusters=6, size=50, noise=0.3)
    start = points[rng.permutation(len(points))[:6]]
    kmeans = FaissKMeans(niter=20, nredo=5, warm_start=True, warm_niter=3)
    result = kmeans.fit(points, 6, seed=0, init=start)
    want = lloyd(points, start, niter=3)
    np.testing.assert_allclose(result.centroids, want, atol=1e-5)
    assert np.array_equal(result.assignments, (points @ want.T).argmax(axis=1))


def test_missing_initial_centroids_are_drawn():
    points, _ = unit_blobs(noise=0.5)
    result = FaissKMeans().fit(points, 7, seed=0, init=points[:4])
    again = FaissKMeans().fit(points, 7, seed=0, init=points[:4])
    assert len(result.centroids) == 7
    assert np.array_equal(result.assignments, again.assignments)


@pytest.mark.parametrize('shape', [(5, 8), (4, 7)])
def test_refuses_initial_centroids_that_do_not_fit(shape):
    points, _ = unit_blobs()
    with pytest.raises(ValueError, match='do not fit k=4'):
        FaissKMeans().fit(points, 4, 0, init=np.ones(shape, np.float32))


OUT_OF_MEMORY = [
    MemoryError('std::bad_alloc'),
    RuntimeError(
        'Error in allocMemory at StandardGpuResources.cpp:575: Error: '
        "'err == cudaSuccess' failed: StandardGpuResources: alloc fail type "
        'TemporaryMemoryOverflow (cudaMalloc error out of memory [2])'
    ),
]


def exhausted(monkeypatch, error, gpu):
    """A clusterer whose GPU, or whose every device, has no room."""
    kmeans = FaissKMeans()
    run = kmeans._run

    def no_room(features, k, seed, init, device):
        if device is not False or not gpu:
            raise error
        return run(features, k, seed, init, device)

    monkeypatch.setattr(kmeans, '_run', no_room)
    monkeypatch.setattr(kmeans, 'gpu_id', lambda: 0 if gpu else False)
    return kmeans


@pytest.mark.parametrize('error', OUT_OF_MEMORY)
def test_a_full_gpu_falls_back_to_the_cpu_and_says_so(monkeypatch, error):
    said = []
    monkeypatch.setattr(
        'pauc_mm.clustering.kmeans.print_log',
        lambda text, **_: said.append(text),
    )
    points, _ = unit_blobs(noise=0.5)
    start = points[:2]  # the others depend on the seed
    result = exhausted(monkeypatch, error, gpu=True).fit(points, 4, 1, start)
    want = FaissKMeans(device='cpu').fit(points, 4, 1, start)
    assert np.array_equal(result.centroids, want.centroids)
    (text,) = said
    for part in (
        '120 x 8',
        'k=4',
        'CUDA device 0',
        'about 512 MiB',
        'CPU',
        str(error),
    ):
        assert part in text


@pytest.mark.parametrize('error', OUT_OF_MEMORY)
@pytest.mark.parametrize('gpu', [True, False])
def test_no_room_at_all_stops_with_sizes_and_keys(monkeypatch, error, gpu):
    points, _ = unit_blobs()
    kmeans = exhausted(monkeypatch, error, gpu)
    if gpu:
        kmeans.device = 'gpu'  # asked for by name: no silent fall-back
    message = '120 x 8 .* k=4 .*max_points_per_centroid.*num_clusters'
    with pytest.raises(RuntimeError, match=message) as raised:
        kmeans.fit(points, 4, seed=1)
    assert raised.value.__cause__ is error


def test_other_errors_of_faiss_are_not_taken_for_a_lack_of_memory(monkeypatch):
    points, _ = unit_blobs()
    kmeans = exhausted(monkeypatch, RuntimeError('wrong device'), gpu=True)
    with pytest.raises(RuntimeError, match='wrong device'):
        kmeans.fit(points, 4, seed=1)


@pytest.mark.parametrize(
    'error, told',
    [
        (MemoryError(), True),
        (RuntimeError('CUDA error: Out of memory'), True),
        (RuntimeError('StandardGpuResources: alloc fail'), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError('std::bad_alloc'), True),
        (RuntimeError('an illegal memory access'), False),
    ],
)
def test_what_says_that_memory_was_lacking(error, told):
    assert kmeans_file.is_out_of_memory(error) is told


@pytest.mark.parametrize('k', [0, 121])
def test_refuses_a_k_that_does_not_fit(k):
    points, _ = unit_blobs()
    with pytest.raises(ValueError, match=f'k={k}'):
        FaissKMeans().fit(points, k, seed=0)


@pytest.mark.parametrize(
    'argument, value',
    [
        ('niter', 0),
        ('nredo', -1),
        ('warm_niter', 2.5),
        ('max_points_per_centroid', 0),
        ('min_points_per_centroid', None),
        ('device', 'tpu'),
    ],
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


@pytest.mark.slow
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
