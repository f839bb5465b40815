# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import importlib
import itertools
import math
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import ot
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance

from pauc_mm.evaluation.functional import _transport, nemd

# The package exports the function under the name of its module.
nemd_module = importlib.import_module('pauc_mm.evaluation.functional.nemd')


def clusters(num_groups, size, dim=8, spread=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centers = torch.randn(num_groups, 1, dim, generator=generator)
    noise = torch.randn(num_groups, size, dim, generator=generator)
    groups = torch.arange(num_groups).repeat_interleave(size)
    return (centers + spread * noise).flatten(0, 1), groups


def uneven(num_groups, size):
    """Clusters of size, size - 1, size - 2 ..., for the network simplex."""
    x, groups = clusters(num_groups, size)
    keep = torch.arange(size).repeat(num_groups) >= groups
    return x[keep], groups[keep]


def unit(x):
    x = np.asarray(x, dtype=np.float64)
    return x / np.sqrt((x**2).sum(axis=-1, keepdims=True))


def on_circle(degrees):
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def brute_force(x, y):
    """Smallest mean distance over all one-to-one matchings."""
    return min(
        sum(math.dist(a, y[j]) for a, j in zip(x, order)) / len(x)
        for order in itertools.permutations(range(len(y)))
    )


@pytest.mark.parametrize('size', [1, 2, 4, 6])
@pytest.mark.parametrize('num_groups', [2, 3])
def test_equals_brute_force_over_matchings(num_groups, size):
    x, groups = clusters(num_groups, size)
    parts = [unit(x[groups == g]) for g in range(num_groups)]
    costs = [brute_force(a, b) for a, b in itertools.combinations(parts, 2)]
    result = nemd(x, groups)
    assert result.value == pytest.approx(np.mean(costs), abs=1e-12)
    assert result.num_pairs == result.total_pairs == len(costs)
    assert result.num_groups == num_groups
    assert result.min_members == result.mean_members == size


def test_equals_assignment_solver_at_64_members():
    x, groups = clusters(3, 64, dim=128)
    costs = []
    for p, q in itertools.combinations(range(3), 2):
        a, b = unit(x[groups == p]), unit(x[groups == q])
        cost = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
        costs.append(cost[linear_sum_assignment(cost)].mean())
    assert nemd(x, groups).value == pytest.approx(np.mean(costs), abs=1e-12)


@pytest.mark.parametrize('build', ['clusters', 'uneven'])
@pytest.mark.parametrize('spread', [1e-9, 1e-4, 1e-2, 1.0])
def test_equals_pot_at_any_distance(build, spread):
    # Also where the distance is too small for dot products to give it.
    # torch.cdist takes dot products for more than 25.
    make = dict(clusters=clusters, uneven=uneven)[build]
    x, groups = make(4, 29)
    x = torch.ones(x.shape[1]).double() + spread * x.double()
    parts = [unit(x[groups == g]) for g in range(4)]
    costs = [
        ot.emd2([], [], np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)))
        for a, b in itertools.combinations(parts, 2)
    ]
    expected = np.mean(costs)
    assert nemd(x, groups).value == pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.parametrize('first, second', [((3, 1), (2, 5)), ((4, 0), (0, 1))])
def test_groups_of_different_sizes_on_a_line(first, second):
    # In one dimension unit vectors are +1 and -1, where W1 has a closed form.
    values = [[-1.0] * a + [1.0] * b for a, b in (first, second)]
    x = torch.tensor(sum(values, []))[:, None] * 3
    groups = torch.tensor([0] * sum(first) + [1] * sum(second))
    expected = wasserstein_distance(*values)
    assert nemd(x, groups).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize('angle', [1e-6, 1.0, 90.0, 180.0])
def test_distance_is_the_chord_not_its_square(angle):
    x = on_circle([0.0, 0.0, angle])
    value = nemd(x, torch.tensor([4, 4, 9])).value
    expected = 2 * math.sin(math.radians(angle) / 2)
    assert value == pytest.approx(expected, rel=1e-9)


def test_point_groups_around_the_circle():
    # Mean chord of n equally spaced points; 4 / pi in the limit.
    n = 90
    x = on_circle([360 * i / n for i in range(n)])
    result = nemd(x, torch.arange(n), num_pairs=None)
    expected = 2 / math.tan(math.pi / (2 * n)) / (n - 1)
    assert result.num_pairs == n * (n - 1) // 2
    assert result.value == pytest.approx(expected, abs=1e-10)
    assert result.value == pytest.approx(4 / math.pi, rel=0.02)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_total_collapse_is_zero(dtype):
    x = torch.randn(16, dtype=dtype).expand(50, 16)
    result = nemd(x, torch.arange(50) % 5, num_members=4)
    assert 0 <= result.value <= 1e-12
    assert result.standard_error <= 1e-12


def test_pairs_larger_than_a_batch_of_distances(monkeypatch):
    x, groups = uneven(4, 6)
    warnings.simplefilter('default')  # pytest restores the filters
    expected = nemd(x, groups)
    assert warnings.filters[0][0] == 'default'
    monkeypatch.setattr(_transport, '_BATCH_ENTRIES', 20)
    assert nemd(x, groups) == expected
    even = clusters(4, 2)  # six pairs of 4 distances, of which 5 fit
    got = nemd(*even)
    monkeypatch.undo()
    assert got == nemd(*even)


def test_equal_clouds_are_at_distance_zero():
    cloud, _ = clusters(1, 20)
    x = torch.cat([cloud, cloud.flip(0)])
    result = nemd(x, torch.arange(40) // 20)
    assert 0 <= result.value <= 1e-12


def test_invariances():
    x, groups = clusters(4, 10)
    value = nemd(x, groups).value
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    rotation = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0]
    for other in (
        nemd(x, 3 - groups),  # symmetry in the groups
        nemd(x, groups * 1000 + 7),
        nemd(x[order], groups[order]),
        nemd(x * torch.rand(40, 1).add(0.5), groups),  # lengths do not count
        nemd(x.double() @ rotation, groups),
        nemd(x.numpy(), groups.numpy().astype(np.int32)),
    ):
        assert other.value == pytest.approx(value, abs=1e-6)


def test_unassigned_samples_are_ignored():
    x, groups = clusters(3, 5)
    more = torch.cat([x, torch.randn(4, 8)])
    with_unassigned = torch.cat([groups, torch.tensor([-1, -1, -7, -100])])
    assert nemd(more, with_unassigned) == nemd(x, groups)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_low_precision_is_computed_in_double(dtype):
    x, groups = clusters(3, 10)
    x = x.to(dtype)
    assert nemd(x, groups) == nemd(x.double(), groups)


def test_subsampling_is_reported_and_seeded():
    x, groups = clusters(12, 30)
    groups[groups == 5] = torch.where(torch.arange(30) < 3, 5, 6)
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    options = dict(num_pairs=20, num_members=8)
    first, again, other = (
        nemd(x, groups, seed=seed, **options) for seed in (3, 3, 4)
    )
    assert first == again
    assert first.value != other.value
    assert first.num_pairs == 20 and first.total_pairs == 66
    assert first.num_draws == 1
    assert first.min_members == 3 and 3 < first.mean_members < 8
    assert torch.equal(torch.get_rng_state(), state[0])
    assert (np.random.get_state()[1] == state[1]).all()


def test_standard_error_of_pairs():
    x, groups = clusters(30, 2, spread=0.3)
    whole = nemd(x, groups, num_pairs=None)
    parts = [nemd(x, groups, num_pairs=40, seed=s) for s in range(60)]
    assert whole.standard_error == 0
    values = np.array([part.value for part in parts])
    errors = np.array([part.standard_error for part in parts])
    assert values.std(ddof=1) == pytest.approx(errors.mean(), rel=0.3)
    assert values.mean() == pytest.approx(whole.value, abs=errors.mean())


def test_standard_error_of_two_draws():
    # Var[(a + b) / 2] is estimated by (a - b)^2 / 4, summed over the pairs.
    costs = torch.tensor([[1.0, 3.0], [2.0, 2.5], [4.0, 4.0]])
    want = math.sqrt((2**2 + 0.5**2) / 4) / 3
    got = nemd_module._standard_error(costs, exhaustive=True)
    assert got == pytest.approx(want)
    got = nemd_module._standard_error(costs[:, :1], exhaustive=False)
    assert got == pytest.approx(np.std([1, 2, 4], ddof=1) / math.sqrt(3))
    # Point-like groups differ as pairs, and not from draw to draw.
    points = nemd(*clusters(4, 10, spread=1e-6), num_members=9)
    assert points.num_draws == 2 and points.standard_error < 1e-5


def test_members_are_drawn_once_and_twice_for_an_error():
    x, groups = clusters(3, 10)
    assert nemd(x, groups, num_members=10) == nemd(x, groups)
    assert nemd(x, groups).num_draws == 1
    some = nemd(x, groups, num_members=9)
    assert some.num_draws == 2 and some.standard_error > 0
    assert nemd(*uneven(3, 10), num_members=9).num_draws == 2
    assert type(some.total_pairs) is int
    rows = nemd_module._draw_members(
        np.arange(5, 15), 9, np.random.default_rng(0)
    )
    assert len(set(rows.tolist())) == 9


def test_members_keep_the_order_of_the_samples():
    ids, members = nemd_module._members(np.arange(3000) % 7 - 1)
    assert ids.tolist() == list(range(6))
    for group, rows in enumerate(members):
        assert rows.tolist() == list(range(group + 1, 3000, 7))


def test_the_defaults():
    # 65 groups have 2080 pairs
    x = torch.randn(130, 3)
    result = nemd(x, torch.arange(130) % 65)
    assert (result.num_pairs, result.total_pairs) == (2000, 2080)
    assert result == nemd(x, torch.arange(130) % 65, seed=0)
    assert nemd(x, torch.arange(130) % 2).mean_members == 64
    assert nemd(x, torch.arange(130) % 2, num_members=65).num_draws == 1


@pytest.mark.slow
def test_standard_error_of_members():
    x, groups = clusters(3, 60, spread=0.5)
    parts = [nemd(x, groups, num_members=6, seed=s) for s in range(150)]
    assert {part.num_draws for part in parts} == {2}
    values = np.array([part.value for part in parts])
    variance = np.mean([part.standard_error**2 for part in parts])
    assert values.std(ddof=1) == pytest.approx(variance**0.5, rel=0.3)


@pytest.mark.parametrize('num_groups', [2, 3, 4, 25])
def test_pair_numbers_cover_each_pair_once(num_groups):
    total = num_groups * (num_groups - 1) // 2
    expected = set(itertools.combinations(range(num_groups), 2))

    class Ordered:
        def choice(self, population, size, replace):
            assert replace is False
            return np.arange(population)[:size]

    got = nemd_module._draw_pairs(num_groups, total - 1, Ordered())
    last = (num_groups - 2, num_groups - 1)
    assert {tuple(pair) for pair in got.tolist()} == expected - {last}
    everything = nemd_module._draw_pairs(num_groups, total, None)
    assert {tuple(pair) for pair in everything.tolist()} == expected


@pytest.mark.parametrize('j', [3, 10_007, 89_999_999])
def test_pair_numbers_at_the_ends_of_a_row(j):
    class Fixed:
        def choice(self, population, size, replace):
            return np.array([j * (j - 1) // 2 - 1, j * (j - 1) // 2])

    got = nemd_module._draw_pairs(j + 1, 2, Fixed())
    assert got.tolist() == [[j - 2, j - 1], [0, j]]


def test_pairs_among_many_groups():
    rng = np.random.default_rng(0)
    pairs = nemd_module._draw_pairs(3_000_000, 5000, rng)
    assert len(np.unique(pairs, axis=0)) == 5000
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert pairs.min() >= 0 and pairs.max() < 3_000_000
    # The smaller of two uniform numbers is a third of the range on average.
    assert pairs.mean(axis=0) / 3e6 == pytest.approx([1 / 3, 2 / 3], abs=0.02)


def sinkhorn_by_loops(x, y, reg):
    """Cost of the entropic plan between two sets (Cuturi, 2013)."""
    cost = np.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))
    kernel, v = np.exp(-cost / reg), np.ones(len(y))
    for _ in range(2000):
        u = 1 / len(x) / (kernel @ v)
        v = 1 / len(y) / (kernel.T @ u)
    return (u[:, None] * kernel * v * cost).sum()


def test_sinkhorn_equals_the_loop():
    pytest.importorskip('ot.batch')
    x, groups = uneven(4, 6)
    parts = [unit(x[groups == g]) for g in range(4)]
    costs = [
        sinkhorn_by_loops(a, b, 0.1)
        for a, b in itertools.combinations(parts, 2)
    ]
    result = nemd(x, groups, solver='sinkhorn', reg=0.1, batch_size=4)
    assert result.value == pytest.approx(np.mean(costs), abs=2e-4)
    assert (result.num_pairs, result.min_members) == (6, 3)
    # The more members, the closer the solver's l2 norm is to be.
    nemd(*clusters(2, 64), solver='sinkhorn', reg=0.05)


@pytest.mark.slow
@pytest.mark.parametrize('spread', [0.1, 1.0])
def test_sinkhorn_agrees_with_exact_transport(spread):
    pytest.importorskip('ot.batch')
    x, groups = clusters(5, 20, spread=spread)
    keep = (groups != 2) | (torch.arange(100) % 20 < 7)  # a smaller group
    x, groups = x[keep], groups[keep]
    exact = nemd(x, groups)
    sinkhorn = nemd(x, groups, solver='sinkhorn', batch_size=3)
    assert exact.value <= sinkhorn.value <= 1.02 * exact.value
    assert sinkhorn.min_members == exact.min_members == 7
    rough = nemd(x, groups, solver='sinkhorn', reg=0.1)
    assert rough.value > sinkhorn.value


def test_sinkhorn_that_does_not_converge_is_an_error():
    pytest.importorskip('ot.batch')
    x, groups = clusters(3, 10, spread=3.0)
    with pytest.raises(RuntimeError, match='sinkhorn.*groups 0 and 1.*margin'):
        nemd(x, groups, solver='sinkhorn', reg=0.001, max_iter=2)


def test_exact_solver_that_does_not_converge_is_an_error(monkeypatch):
    solve = ot.emd2
    x, groups = uneven(3, 30)
    monkeypatch.setattr(
        ot, 'emd2', lambda *a, **k: solve(*a, **{**k, 'numItermax': 1})
    )
    with pytest.raises(RuntimeError, match='emd solver.*groups 1. and 1. .2'):
        nemd(x, groups + 10)


def test_members_of_both_groups_are_counted():
    x, groups = uneven(2, 5)
    for order in (groups, 1 - groups):
        result = nemd(x, order)
        assert (result.min_members, result.mean_members) == (4, 4.5)


def wrong_plan(kind, a, b):
    plan = a[..., :, None] * b[..., None, :]
    if kind in ('none', 'nan'):
        return plan * (0 if kind == 'none' else math.nan)
    wrong = plan * 0  # of the right total, and right columns or rows
    if kind == 'one row':
        wrong[..., 0, :] = b
    if kind == 'one column':
        wrong[..., :, 0] = a
    return plan if kind == 'not the best' else wrong


@pytest.mark.parametrize(
    'plan', ['none', 'nan', 'one row', 'one column', 'not the best']
)
def test_lost_mass_is_an_error_not_a_zero(monkeypatch, plan):
    warning = 'stopped early' if plan == 'not the best' else None

    def lossy(a, b, cost, **kwargs):
        return 0.0, dict(warning=warning, G=wrong_plan(plan, a, b))

    x, groups = uneven(2, 5)
    monkeypatch.setattr(ot, 'emd2', lossy)
    found = f'groups 0 and 1.*{warning or "misses marginals"}'
    with pytest.raises(RuntimeError, match=found):
        nemd(x, groups)


@pytest.mark.parametrize('options', [{}, dict(reg=0.3, max_iter=77)])
@pytest.mark.parametrize('plan', ['none', 'nan', 'one row', 'one column'])
def test_mass_that_sinkhorn_loses_is_an_error(monkeypatch, plan, options):
    batch_module, calls = pytest.importorskip('ot.batch'), []

    def lossy(cost, reg, a, b, max_iter, **_):
        calls.append(dict(reg=reg, max_iter=max_iter))
        kind = 'not the best' if len(calls) == 1 else plan
        return SimpleNamespace(plan=wrong_plan(kind, a, b))

    monkeypatch.setattr(batch_module, 'solve_batch', lossy)
    found = r'groups 1 and 2 \(4 and 3 members\).*misses marginals'
    with pytest.raises(RuntimeError, match=found):
        nemd(*uneven(3, 5), solver='sinkhorn', batch_size=2, **options)
    assert calls == [options or dict(reg=0.01, max_iter=10000)] * 2


@pytest.mark.parametrize(
    'groups, found', [([3, 3, 3], r'only 1.*\[3\]'), ([-1, -1, -1], 'only 0')]
)
def test_fewer_than_two_groups(groups, found):
    with pytest.raises(ValueError, match=found):
        nemd(torch.randn(3, 4), torch.tensor(groups))


@pytest.mark.parametrize('value', [math.nan, math.inf])
def test_non_finite_embeddings_are_counted(value):
    x, groups = clusters(2, 5)
    x[3, 0] = x[7, 1] = value
    with pytest.raises(ValueError, match=r'2 of 10 .*not finite.*\[3, 7\]'):
        nemd(x, groups)


def test_zero_embeddings_are_counted():
    x, groups = clusters(2, 5)
    x[4] = 0
    with pytest.raises(ValueError, match=r'1 of 10 .*zero norm.*\[4\]'):
        nemd(x, groups)


@pytest.mark.parametrize(
    'options, found',
    [
        (dict(num_pairs=1), 'num_pairs.*1'),
        (dict(num_pairs=0), 'num_pairs.*0'),
        (dict(num_members=0), 'num_members.*0'),
        (dict(solver='simplex'), 'solver.*simplex'),
        (dict(reg=0), 'reg.*0'),
        (dict(groups=torch.zeros(3).long()), r'shape \(10,\).*\(3,\)'),
        (dict(embeddings=torch.zeros(10)), r'matrix.*\(10,\)'),
        (dict(embeddings=torch.zeros(0, 4)), r'non-empty.*\(0, 4\)'),
    ],
)
def test_bad_arguments(options, found):
    x, groups = clusters(2, 5)
    with pytest.raises(ValueError, match=found):
        nemd(**{'embeddings': x, 'groups': groups, **options})


def test_groups_must_be_integers():
    with pytest.raises(TypeError, match='integers.*float32'):
        nemd(torch.randn(4, 2), torch.tensor([0.0, 0.5, 1.0, 1.0]))


def test_missing_pot(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ot', None)
    with pytest.raises(ImportError, match='pip install POT'):
        nemd(*clusters(2, 5))
