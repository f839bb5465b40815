# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Sharded k-means against a loop of Lloyd's, faiss, and other ranks."""

import sys

import numpy as np
import pytest
import torch
from mmengine.dist import get_rank, get_world_size
from sklearn.metrics import adjusted_rand_score

from pauc_mm.clustering import (
    FaissKMeans,
    ShardedKMeans,
    build_kmeans,
    sharded_kmeans,
)
from pauc_mm.utils import Shard
from tests.helpers import run_ranks
from tests.test_clustering.test_kmeans import unit_blobs


def points_of(num=300, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(num, dim)).astype(np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def whole(points):
    return Shard.of(torch.from_numpy(points))


def lloyd(points, centroids, niter, spherical):
    """The textbook's loop in float64: centroids, clusters, distances."""
    points, centroids = points.astype(float), centroids.astype(float)

    def assign():
        if spherical:
            return np.array([np.argmax(centroids @ p) for p in points])
        squares = [((centroids - p) ** 2).sum(axis=1) for p in points]
        return np.argmin(squares, axis=1)

    for _ in range(niter):
        nearest = assign()
        for c in range(len(centroids)):
            centroids[c] = points[nearest == c].mean(axis=0)
            if spherical:
                centroids[c] /= np.linalg.norm(centroids[c])
    nearest = assign()
    return (
        centroids,
        nearest,
        np.linalg.norm(points - centroids[nearest], axis=1),
    )


@pytest.fixture(params=['faiss', 'torch'])
def assigned_by(request, monkeypatch):
    """Both ways to assign, that of a GPU on the CPU."""
    prepare = sharded_kmeans._Run.prepare

    def choose(run, *args):
        prepare(run, *args)
        run.on_cpu = request.param == 'faiss'

    monkeypatch.setattr(sharded_kmeans._Run, 'prepare', choose)


@pytest.mark.parametrize('spherical', [True, False])
def test_lloyd_from_given_centroids(assigned_by, spherical, monkeypatch):
    points = points_of() + (0 if spherical else 1)
    # Parts of 100, 100 and 100 rows, whose last centroids count
    monkeypatch.setattr(sharded_kmeans, '_ROWS_AT_ONCE', 100)
    kmeans = ShardedKMeans(warm_niter=3, spherical=spherical)
    result = kmeans.fit(whole(points), 7, 0, points[:7])
    centroids, nearest, distances = lloyd(points, points[:7], 3, spherical)
    np.testing.assert_allclose(result.centroids, centroids, atol=1e-5)
    assert result.assignments.dtype == np.int32
    assert result.assignments.tolist() == nearest.tolist()
    means = np.bincount(nearest, distances) / np.bincount(nearest)
    np.testing.assert_allclose(result.mean_distances, means, rtol=1e-5)
    assert result.objective == pytest.approx(np.mean(distances**2), rel=1e-5)
    assert result.num_trained == 300


@pytest.mark.parametrize('spherical', [True, False])
def test_faiss_at_equal_start(assigned_by, spherical):
    points = points_of(3000, 16)
    options = dict(warm_niter=10, spherical=spherical)
    start = points[:100]
    want = FaissKMeans(**options, device='cpu').fit(points, 100, 0, start)
    got = ShardedKMeans(**options).fit(whole(points), 100, 0, start)
    assert got.objective == pytest.approx(want.objective, rel=1e-4)
    assert (got.assignments == want.assignments).mean() > 0.99


def test_the_best_of_several_runs(monkeypatch):
    points, labels = unit_blobs(num_clusters=8, size=20)
    monkeypatch.setattr(sharded_kmeans, '_ROWS_AT_ONCE', 50)  # in parts
    shard = whole(points)
    once = [
        ShardedKMeans(nredo=1).fit(shard, 8, seed).objective
        for seed in range(8)
    ]
    # The first of them is the worst of those above.
    best = ShardedKMeans(nredo=12).fit(shard, 8, int(np.argmax(once)))
    assert best.objective == pytest.approx(min(once))
    assert max(once) > 2 * min(once)
    assert adjusted_rand_score(labels, best.assignments) == 1.0


def test_a_seed_decides_the_draws_and_leaves_the_global_streams():
    points = points_of()
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    kmeans = ShardedKMeans(nredo=2, max_points_per_centroid=20)
    first, same, *others = (
        kmeans.fit(whole(points), 9, seed) for seed in (5, 5, 6, 7)
    )
    assert first.num_trained == 180
    assert np.array_equal(first.centroids, same.centroids)
    assert np.array_equal(first.assignments, same.assignments)
    for other in others:
        assert not np.array_equal(first.assignments, other.assignments)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])


def test_the_iterations_see_only_the_drawn_rows(monkeypatch):
    points = points_of()
    seen, nearest = [], sharded_kmeans._Run._nearest
    monkeypatch.setattr(
        sharded_kmeans._Run,
        '_nearest',
        lambda run, rows, squares: (
            seen.append(rows.clone()) or nearest(run, rows, squares)
        ),
    )
    kmeans = ShardedKMeans(2, 1, max_points_per_centroid=10)
    result = kmeans.fit(whole(points), 4, 0)
    first, second, last = seen
    assert torch.equal(first, second) and torch.equal(
        last, torch.from_numpy(points)
    )
    drawn = {tuple(row) for row in first.tolist()}
    assert result.num_trained == len(first) == len(drawn) == 40
    assert drawn < {tuple(row) for row in points.tolist()}
    assert not torch.equal(first, last[:40])


def test_as_many_clusters_as_points_and_one():
    points = points_of(40)
    result = ShardedKMeans(niter=2).fit(whole(points), 40, 0)
    assert sorted(result.assignments) == list(range(40))
    assert result.mean_distances == pytest.approx(0, abs=1e-3)  # no NaN
    assert result.objective == pytest.approx(0, abs=1e-6)
    precise = whole(points.astype(np.float64))
    one = ShardedKMeans(spherical=False).fit(precise, 1, 0)
    assert one.centroids.dtype == np.float32
    np.testing.assert_allclose(one.centroids[0], points.mean(0), atol=1e-6)
    # A mean without a direction is no cause of NaN.
    opposite = np.array([[1, 0], [-1, 0]], np.float32)
    result = ShardedKMeans().fit(whole(opposite), 1, 0)
    assert not result.centroids.any() and result.objective == 1


def test_identical_points_leave_one_cluster():
    points = np.ones((20, 3), np.float32) / 3**0.5
    result = ShardedKMeans().fit(whole(points), 5, seed=0)
    assert len(result.centroids) == len(result.mean_distances) == 1
    assert result.assignments.tolist() == [0] * 20
    assert result.objective == pytest.approx(0, abs=1e-6)
    # The halves that the empty ones take are of unit length too.
    assert np.linalg.norm(result.centroids) == pytest.approx(1, abs=2e-7)


def test_the_result_is_without_empty_clusters():
    points = np.array([[0], [1], [9], [11]], np.float64)
    kmeans = ShardedKMeans(spherical=False)
    run = sharded_kmeans._Run(kmeans, whole(points), 3)
    run.prepare(4)
    run.centroids = torch.tensor([[0.5], [99], [10]])
    result = run.result(4)
    assert result.assignments.tolist() == [0, 0, 1, 1]
    assert result.centroids.tolist() == [[0.5], [10]]
    assert result.mean_distances.tolist() == [0.5, 1]
    assert result.objective == 0.625


def test_the_rows_of_a_part():
    # 2^18 float32 a MiB: rows of 6, and all products with 20 centroids; on
    # a CPU faiss needs little more than the rows.
    run = sharded_kmeans._Run(ShardedKMeans(scratch=1), whole(points_of()), 20)
    run.prepare(300)
    assert run._part_size() == 2**18 // 10
    run.on_cpu, run.kmeans.halvings = False, 3
    assert run._part_size() == 2**18 // 26 // 8
    run.kmeans = ShardedKMeans()
    assert run._part_size() == 65536


def test_missing_initial_centroids_are_drawn_rows():
    points = points_of()
    kmeans = ShardedKMeans(warm_niter=1, spherical=False)
    starts, nearest = [], sharded_kmeans._Run.iterate

    def note(run, *args):
        starts.append(run.centroids.clone().numpy())
        return nearest(run, *args)

    sharded_kmeans._Run.iterate, kept = note, nearest
    try:
        kmeans.fit(whole(points), 7, 0, 2 * points[:4])
        kmeans.spherical = True
        kmeans.fit(whole(points), 7, 0, 2 * points[:4])
    finally:
        sharded_kmeans._Run.iterate = kept
    plain, unit = starts
    assert np.array_equal(plain[:4], 2 * points[:4])
    rows = {tuple(row) for row in points.tolist()}
    assert len({tuple(row) for row in plain[4:].tolist()} & rows) == 3
    np.testing.assert_allclose(unit[:4], points[:4], atol=1e-6)


def split_by_hand(centroids, sizes, pairs):
    """The rule of faiss' split_clusters for given pairs (empty, large)."""
    for empty, large in pairs:
        for j, x in enumerate(centroids[large].tolist()):
            sign = 1 if j % 2 == 0 else -1
            centroids[empty, j] = x * (1 + sign / 1024)
            centroids[large, j] = x * (1 - sign / 1024)
        sizes[empty] = sizes[large] // 2
        sizes[large] -= sizes[empty]


def test_an_empty_cluster_takes_half_of_another():
    before = torch.from_numpy(points_of(4, 5))
    got, sizes = before.clone(), np.array([1, 0, 9, 0])
    sharded_kmeans.split_clusters(got, sizes, np.random.default_rng(0))
    # That of one member cannot be halved: first 9 = 5 + 4, then one of both.
    want, left = before.clone(), np.array([1, 0, 9, 0])
    split_by_hand(want, left, [(1, 2)])
    again = 2 if sizes[2] < 5 else 1
    split_by_hand(want, left, [(3, again)])
    assert sizes.tolist() == left.tolist() and sizes.sum() == 10
    torch.testing.assert_close(got, want)


def test_the_larger_a_cluster_the_more_often_it_is_halved():
    rng, counts = np.random.default_rng(0), np.zeros(4)
    for _ in range(1000):
        sizes = np.array([1, 11, 0, 31])
        before = sizes.copy()
        centroids = torch.ones(4, 1)
        sharded_kmeans.split_clusters(centroids, sizes, rng)
        assert centroids[0] == 1  # that of one member stays
        counts += sizes < before
    # n - 1 of 40, as in faiss; the deviation of such a share is 0.014
    assert counts[0] == counts[2] == 0
    assert counts / 1000 == pytest.approx([0, 0.25, 0, 0.75], abs=0.05)


def test_each_half_is_near_its_own_cluster():
    before = torch.from_numpy(points_of(6, 5))
    got, sizes = before.clone(), np.array([0, 9, 0, 8, 0, 0])
    sharded_kmeans.split_clusters(got, sizes, np.random.default_rng(0))
    for place, members in ((1, 9), (3, 8)):
        near = (got - before[place]).norm(dim=1) < 0.01
        assert near.sum() > 1 and sizes[near.numpy()].sum() == members


def test_many_empty_clusters_at_once():
    sizes = np.zeros(1000, np.int64)
    sizes[17] = 1000
    centroids = torch.ones(1000, 3)
    rng = np.random.default_rng(0)
    sharded_kmeans.split_clusters(centroids, sizes, rng)
    assert sizes.tolist() == [1] * 1000
    assert ((centroids - 1).abs() < 0.05).all()


def test_an_empty_cluster_wins_members_back():
    # Two starts at one point: the second wins nothing there.
    points, labels = unit_blobs(num_clusters=2, size=40, noise=0.2)
    start = np.stack([points[0], -points[0], -points[0] + 0.01])
    result = ShardedKMeans(warm_niter=8).fit(whole(points), 3, 0, start)
    want = FaissKMeans(warm_niter=8).fit(points, 3, 0, start)
    assert len(result.centroids) == len(want.centroids) == 3
    assert result.objective == pytest.approx(want.objective, rel=0.05)
    line = np.array([[20], [21], [29], [31]], np.float32)
    start = np.array([[20.5], [0], [30]], np.float32)
    result = ShardedKMeans(spherical=False).fit(whole(line), 3, 0, start)
    assert len(result.centroids) == 3


OUT_OF_MEMORY = torch.cuda.OutOfMemoryError('CUDA out of memory.')


@pytest.mark.parametrize('room', [301, 50, 0])
def test_parts_shrink_until_they_fit(monkeypatch, room):
    points, said = points_of(), []
    nearest = sharded_kmeans._Run._nearest

    def need_room(run, rows, squares):
        if len(rows) > room:
            raise OUT_OF_MEMORY
        return nearest(run, rows, squares)

    monkeypatch.setattr(sharded_kmeans._Run, '_nearest', need_room)
    monkeypatch.setattr(
        sharded_kmeans, 'print_log', lambda text, **_: said.append(text)
    )
    kmeans = ShardedKMeans(warm_niter=2)
    if not room:
        message = (
            '300 x 6 .* k=5 .* on cpu: .*kmeans.scratch=512.*num_clusters'
        )
        with pytest.raises(RuntimeError, match=message) as raised:
            kmeans.fit(whole(points), 5, 0, points[:5])
        assert raised.value.__cause__ is OUT_OF_MEMORY
        return
    for _ in range(2):
        result = kmeans.fit(whole(points), 5, 0, points[:5])
    monkeypatch.undo()
    want = ShardedKMeans(warm_niter=2).fit(whole(points), 5, 0, points[:5])
    assert np.array_equal(result.assignments, want.assignments)
    np.testing.assert_allclose(result.centroids, want.centroids, atol=1e-6)
    assert len(said) == (room == 50)  # once
    if said:
        assert 'kmeans.scratch=512' in said[0] and 'cpu' in said[0]


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch):
    def fail(*_):
        raise RuntimeError('wrong device')

    monkeypatch.setattr(sharded_kmeans._Run, '_nearest', fail)
    kmeans = ShardedKMeans()
    with pytest.raises(RuntimeError, match='^wrong device$'):
        kmeans.fit(whole(points_of()), 5, 0)
    assert kmeans.halvings == 0


def test_rows_without_room_are_explained(monkeypatch):
    def fail(*_):
        raise OUT_OF_MEMORY

    monkeypatch.setattr(sharded_kmeans._Run, 'prepare', fail)
    with pytest.raises(RuntimeError, match='300 x 6 .* k=5 .*num_clusters'):
        ShardedKMeans().fit(whole(points_of()), 5, 0)


@pytest.mark.parametrize(
    'k, init, message',
    [
        (0, None, 'k=0'),
        (301, None, 'k=301 .* got 300.*model.num_clusters'),
        (4, np.ones((5, 6)), 'do not fit k=4'),
        (4, np.ones((4, 7)), 'do not fit k=4 .* 6 dim'),
    ],
)
def test_what_does_not_fit_is_refused(k, init, message):
    with pytest.raises(ValueError, match=message):
        ShardedKMeans().fit(whole(points_of()), k, 0, init)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value):
    points = points_of(17000, 3)
    points[-1, 2] = value
    with pytest.raises(ValueError, match='finite'):
        ShardedKMeans().fit(whole(points), 4, 0)


@pytest.mark.parametrize('name', ['scratch', 'niter', 'warm_niter'])
def test_bad_options_name_the_key(name):
    with pytest.raises(ValueError, match=f'kmeans.{name}'):
        ShardedKMeans(**{name: 0})


def test_the_memory_of_a_rank():
    # 4 bytes of 10 rows and of 2 or 3 tables of 5 centroids, D = 7
    assert ShardedKMeans(nredo=1, scratch=3).memory(10, 5, 7) == (
        4 * 7 * (10 + 2 * 5) + 3 * 2**20
    )
    assert ShardedKMeans().memory(10, 5, 7) == 4 * 7 * 25 + 512 * 2**20


@pytest.mark.parametrize(
    'cfg, ranks, gpu, kind, why',
    [
        ({}, 1, False, 'FaissKMeans', 'one process and no GPU'),
        ({}, 1, True, 'ShardedKMeans', 'a GPU'),
        ({}, 2, False, 'ShardedKMeans', '2 processes'),
        (dict(device='cpu'), 2, True, 'FaissKMeans', 'kmeans.device'),
        (dict(device='auto'), 2, True, 'FaissKMeans', 'kmeans.device'),
        (dict(scratch=9), 1, False, 'ShardedKMeans', 'kmeans.scratch'),
        (dict(type='FaissKMeans'), 8, True, 'FaissKMeans', 'kmeans.type'),
        (dict(type='ShardedKMeans'), 1, False, 'ShardedKMeans', 'kmeans.type'),
    ],
)
def test_which_k_means_is_taken(monkeypatch, cfg, ranks, gpu, kind, why):
    module = sys.modules[build_kmeans.__module__]
    monkeypatch.setattr(module, 'get_world_size', lambda: ranks)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    kmeans, told = build_kmeans(dict(cfg, niter=3, warm_start=True))
    assert type(kmeans).__name__ == kind and why in told
    assert kmeans.niter == 3 and kmeans.warm_start is True
    # The same for another machine, which is not as this one
    monkeypatch.setattr(module, 'get_world_size', lambda: 3 - ranks)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: not gpu)
    kmeans, told = build_kmeans(cfg, ranks, gpu)
    assert type(kmeans).__name__ == kind and why in told


def held(points, owners):
    """The rows of this rank, of which ``owners`` has the ranks."""
    index = torch.nonzero(torch.from_numpy(owners) == get_rank()).flatten()
    return Shard(torch.from_numpy(points)[index], index, len(points))


def on_ranks():
    """Cluster on all ranks: shares alike, unequal, and none; a failure."""
    rank, size = get_rank(), get_world_size()
    points, few = points_of(), points_of(4)
    rng = np.random.default_rng(1)
    uneven = rng.choice(
        size, size=300, p=[0.9, *[0.1 / (size - 1)] * (size - 1)]
    )
    once = dict(niter=4, nredo=2)
    results = [
        ShardedKMeans(**once).fit(whole(points), 12, 3),
        ShardedKMeans(**once).fit(held(points, uneven), 12, 3),
        ShardedKMeans(**once, max_points_per_centroid=10).fit(
            held(points, uneven), 12, 3
        ),
        # Rank 0 has no row at all.
        ShardedKMeans(**once, spherical=False).fit(
            held(points, np.full(300, size - 1)), 12, 3, points[:5]
        ),
        ShardedKMeans(**once).fit(whole(few), 4, 0),
    ]
    kmeans, run = ShardedKMeans(**once), sharded_kmeans._Run
    nearest, calls = run._nearest, []

    def die(self, *args):
        calls.append(1)
        if rank == size - 1 and len(calls) == 2:
            raise OUT_OF_MEMORY if size == 2 else ValueError('broken')
        return nearest(self, *args)

    run._nearest, errors = die, []
    run._part_size = lambda self: 1  # of a GPU that is full
    try:
        kmeans.fit(whole(points), 12, 3)
    except Exception as error:
        errors.append(f'{type(error).__name__}: {error}')
    run._nearest = nearest
    broken = points.copy()
    broken[size - 1] = np.nan  # on the last rank alone
    try:
        kmeans.fit(whole(broken), 12, 3)
    except Exception as error:
        errors.append(f'{type(error).__name__}: {error}')
    return results, errors


@pytest.mark.slow
@pytest.mark.parametrize('size', [2, 3])
def test_ranks_agree_with_one_process(tmp_path, size):
    ranks = run_ranks(on_ranks, size, tmp_path)
    points, once = points_of(), dict(niter=4, nredo=2)
    alone = [
        ShardedKMeans(**once).fit(whole(points), 12, 3),
        ShardedKMeans(**once).fit(whole(points), 12, 3),
        ShardedKMeans(**once, max_points_per_centroid=10).fit(
            whole(points), 12, 3
        ),
        ShardedKMeans(**once, spherical=False).fit(
            whole(points), 12, 3, points[:5]
        ),
        ShardedKMeans(**once).fit(whole(points_of(4)), 4, 0),
    ]
    for results, errors in ranks:
        for got, first, want in zip(results, ranks[0][0], alone):
            assert np.array_equal(got.assignments, want.assignments)
            assert np.array_equal(got.centroids, first.centroids)
            np.testing.assert_allclose(
                got.centroids, want.centroids, atol=1e-5
            )
            assert got.objective == pytest.approx(want.objective, abs=1e-6)
            assert got.num_trained == want.num_trained
        assert len(errors) == 2
    failed = 'ran out of memory on cpu' if size == 2 else 'broken'
    assert failed in ranks[-1][1][0]
    for _, (first, second) in ranks[:-1]:
        assert f'k-means failed on rank {size - 1}: ' in first
        assert failed in first and 'finite' in second
