# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The online mixture against slow formulas, scikit-learn and wrong input."""

import copy
import math

import numpy as np
import pytest
import torch
from mmengine.dist import all_reduce_params, get_rank, get_world_size
from mmengine.runner.checkpoint import get_state_dict, weights_to_cpu
from scipy.optimize import linear_sum_assignment

from pauc_mm.clustering import OnlineGaussianMixture
from pauc_mm.clustering.deferred_flag import DeferredFlag
from pauc_mm.clustering.mixture import start, steps
from pauc_mm.clustering.mixture.diagonal_mixture import full_precision
from pauc_mm.clustering.mixture.options import MixtureOptions
from pauc_mm.clustering.mixture.steps import (
    TINY,
    exponential_,
    inverse_temperature,
    log_sum_exp,
)
from tests.helpers import run_ranks
from tests.test_clustering.test_batch_kmeans import by_loops
from tests.test_models.test_step_never_waits import RefuseToWait

STATE = ('means', 'scatter', 'mass', 'frequency')


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def log_responsibilities(mixture, embeddings):
    """Logarithms of gamma at the present temperature, (N, K)."""
    with full_precision(mixture.means.device):
        statistics = mixture._statistics(mixture._checked(embeddings))
        weights = mixture._log_weights()
        joint = [
            mixture._joint(statistics, weights, part)
            for part in mixture._parts(len(statistics))
        ]
        return torch.cat(joint, dim=1).log_softmax(dim=1)


def begun(k=5, dim=3, seed=0, **options):
    """A mixture with a state in which every number differs."""
    mixture = OnlineGaussianMixture(k, dim, **options)
    mixture.initialise(normal(4 * k, dim, seed=seed) + 0.5)
    generator = torch.Generator().manual_seed(seed + 1)
    mixture.scatter.uniform_(0.2, 1.5, generator=generator)
    mixture.mass.uniform_(0.5, 9, generator=generator)
    mixture.frequency.uniform_(0.01, 0.3, generator=generator)
    return mixture


def slow_update(mixture, batch, b):
    """The online EM in float64, a sample and a component at a time.

    Returns:
        mu, Sigma, mass and frequency, from the statistics 1, h and h^2.
    """
    mu, var, mass, share = (
        getattr(mixture, name).double().numpy() for name in STATE
    )
    pi, eta = mass / mass.sum(), mixture.options.eta
    h = batch.double().numpy()
    size, count, dim = len(h), *mu.shape
    ones = np.ones(dim)
    gamma = np.zeros((size, count))
    for i in range(size):
        for k in range(count):
            floored = np.maximum(var[k], mixture.options.min_variance)
            density = np.exp(-((h[i] - mu[k]) ** 2) / (2 * floored))
            density = (density / np.sqrt(2 * np.pi * floored)).prod()
            gamma[i, k] = (pi[k] * density) ** b
        gamma[i] /= gamma[i].sum()
    result = []
    for k in range(count):
        old = mass[k] * np.array([ones, mu[k], var[k] + mu[k] ** 2])
        w = gamma[:, k].sum()
        new = np.zeros((3, dim))
        for i in range(size):
            new += gamma[i, k] * np.array([ones, h[i], h[i] ** 2]) / w
        s = eta**w * old + (1 - eta**w) / (1 - eta) * new
        mean = s[1] / s[0]
        fade = eta ** (size / count)
        result.append(
            (
                mean,
                s[2] / s[0] - mean**2,
                s[0][0],
                fade * share[k] + (1 - fade) * w / size,
            )
        )
    return [torch.tensor(np.array(part)) for part in zip(*result)]


@pytest.mark.parametrize('size', [1, 2, 12])
def test_updates_are_the_formulas(size):
    mixture = begun(eta=0.8, start_temperature=4, annealing_steps=2)
    for step, b in enumerate((1 / 4, 1 / 2, 1, 1)):
        batch = normal(size, 3, seed=step + 10)
        assert mixture.inverse_temperature.item() == pytest.approx(b)
        wanted = slow_update(mixture, batch, b)
        mixture.update(batch)
        for name, value in zip(STATE, wanted):
            torch.testing.assert_close(
                getattr(mixture, name).double(), value, rtol=2e-5, atol=2e-6
            )
    assert mixture.steps == 4


def test_a_batch_of_one_is_an_update_of_celaya_and_agostini():
    # One component: gamma = 1, so that f = eta and the sample weighs 1.
    mixture = OnlineGaussianMixture(1, 2, eta=0.9, init_samples=1)
    mixture.update(torch.tensor([[1.0, 2.0]]))
    assert mixture.ready
    mixture.update(torch.tensor([[4.0, 2.0]]))
    mean = (0.9 * 1 + 4) / 1.9
    assert mixture.mass.item() == pytest.approx(1.9)
    assert mixture.means[0].tolist() == pytest.approx([mean, 2])
    variance = (0.9 * 1 + 16) / 1.9 - mean**2
    floor = mixture.options.min_variance
    assert mixture.variances[0].tolist() == pytest.approx([variance, floor])


def test_densities_against_torch():
    mixture = begun(k=4, start_temperature=2, annealing_steps=10)
    h = normal(7, 3, seed=3)
    gaussians = torch.distributions.Independent(
        torch.distributions.Normal(mixture.means, mixture.variances.sqrt()), 1
    )
    joint = gaussians.log_prob(h[:, None]) + mixture.weights.log()
    parameters = steps.natural_parameters(
        mixture.means, mixture.variances, mixture.weights.log()
    )
    torch.testing.assert_close(
        steps.sufficient_statistics(h) @ parameters.T,
        joint,
        rtol=1e-5,
        atol=1e-5,
    )
    wanted = (joint / 2).log_softmax(dim=1)
    found = log_responsibilities(mixture, h)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert torch.equal(mixture.assign(h), wanted.argmax(dim=1))
    assert mixture.weights.sum().item() == pytest.approx(1)


def test_pieces_give_the_same_as_the_whole():
    whole, pieces = (
        begun(k=3000, dim=8, scratch_mib=mib, init='random', min_variance=0.2)
        for mib in (256, 1)
    )
    h = normal(64, 8, seed=2)
    assert len(whole._parts(64)) == 1 and len(pieces._parts(64)) == 3
    assert torch.equal(whole.assign(h), pieces.assign(h))
    for mixture in (whole, pieces):
        mixture.update(h)
    for name in STATE:
        torch.testing.assert_close(
            getattr(whole, name), getattr(pieces, name), rtol=1e-4, atol=1e-6
        )
    torch.testing.assert_close(
        log_responsibilities(whole, h),
        log_responsibilities(pieces, h),
        rtol=1e-5,
        atol=1e-4,
    )


def test_assigning_in_slices():
    whole, pieces = (
        begun(k=3000, dim=8, scratch_mib=mib, init='random')
        for mib in (256, 1)
    )
    assert (len(whole._parts(64)), len(pieces._parts(64))) == (1, 3)
    for seed in range(2):
        h = normal(64, 8, seed=seed)
        best = log_responsibilities(whole, h).argmax(dim=1)
        assert torch.equal(whole.assign(h), best)
        assert torch.equal(pieces.assign(h), best)
    with pytest.raises(RuntimeError, match='has not begun'):
        OnlineGaussianMixture(5, 3).assign(normal(5, 3))
    # Where not even one fits, one at a time
    parts = begun(scratch_mib=1)._parts(2**20)
    assert parts == [slice(k, k + 1) for k in range(5)]


def test_exponentials_without_underflow():
    values = torch.cat([torch.linspace(-200, 0, 99), torch.tensor([-1e9])])
    found = exponential_(values.clone())
    # Nothing is left that is slow, and nothing is lost that counts.
    assert ((found == 0) | (found >= TINY)).all()
    torch.testing.assert_close(found, values.exp(), rtol=1e-5, atol=1.1e-30)
    rows = torch.stack([values, values.flip(0) - 500, values + 80])
    torch.testing.assert_close(
        log_sum_exp(rows), rows.logsumexp(dim=1, keepdim=True)
    )


def test_far_from_zero_no_digits_are_lost():
    near, far = OnlineGaussianMixture(3, 4), OnlineGaussianMixture(3, 4)
    place = torch.tensor([1000, -1000, 0, 500])
    for step in range(6):
        batch = normal(12, 4, seed=step)
        # exact in float32, so that both see the same
        batch = (batch * 64).round() / 64
        near.update(batch)
        far.update(batch + place)
    torch.testing.assert_close(
        far.means - place, near.means, atol=5e-3, rtol=0
    )
    torch.testing.assert_close(
        far.variances, near.variances, atol=5e-3, rtol=0
    )


def mixture_of_50():
    """Means 2 apart in each dimension, deviations of 0.5 to 1.5."""
    generator = torch.Generator().manual_seed(0)
    means = 2 * torch.randn(50, 32, generator=generator)
    deviations = 0.5 + torch.rand(50, 32, generator=generator)
    labels = torch.randint(50, (20000,), generator=generator)
    noise = torch.randn(20000, 32, generator=generator)
    return means, means[labels] + deviations[labels] * noise, labels


def matched(found, truth):
    """Distances after the best pairing of found and true means."""
    distances = torch.cdist(found.double(), truth.double()).numpy()
    rows, columns = linear_sum_assignment(distances)
    return distances[rows, columns]


def rms(distances):
    return math.sqrt((distances**2).mean())


def test_recovers_a_known_mixture_as_scikit_learn_does():
    from sklearn.mixture import GaussianMixture

    truth, data, labels = mixture_of_50()
    batch_em = GaussianMixture(50, covariance_type='diag', random_state=0)
    batch_em.fit(data.numpy())
    theirs = rms(matched(torch.tensor(batch_em.means_), truth))
    mixture = OnlineGaussianMixture(
        50, 32, eta=0.9999, init_samples=1000, seed=0
    )
    for batch in data.split(64):
        mixture.update(batch)
    ours = rms(matched(mixture.means, truth))
    own = torch.stack([data[labels == k].mean(dim=0) for k in range(50)])
    # The means of the true clusters are the best that there is.
    assert ours <= 1.02 * rms(matched(own, truth)) and ours <= 1.02 * theirs


def after_rare_visits(seed):
    """A mixture of 20 clusters, four of which come every 200th batch.

    Returns:
        tuple: Of the rare clusters: the component that most of fresh samples
        are assigned to, the share of these, whether the component has most
        of another cluster too, and the distance of its mean in deviations.
    """
    generator = torch.Generator().manual_seed(seed)
    means = 1.5 * torch.randn(20, 16, generator=generator)

    def samples(labels):
        noise = torch.randn(len(labels), 16, generator=generator)
        return means[labels] + noise

    mixture = OnlineGaussianMixture(20, 16, min_variance=0.01, seed=seed)
    mixture.initialise(samples(torch.arange(20).repeat_interleave(20)))
    assert torch.cdist(means, mixture.means).amin(dim=1).max() < 2, 'start'
    for step in range(801):
        labels = torch.randint(16, (32,), generator=generator)
        if step % 200 == 0:
            labels[:8] = torch.arange(16, 20).repeat_interleave(2)
        mixture.update(samples(labels))
    fresh = samples(torch.arange(20).repeat_interleave(50))
    found = mixture.assign(fresh).view(20, 50)
    owner = found.mode(dim=1).values
    share = (found == owner[:, None]).float().mean(dim=1)
    shared = (owner[:, None] == owner).sum(dim=1) > 1
    distance = (mixture.means[owner] - means).norm(dim=1) / 4
    assert share[:16].min() > 0.9 and distance[:16].max() < 0.25
    return share[16:], shared[16:], distance[16:]


@pytest.mark.slow
@pytest.mark.parametrize('seed', [0, 4])
def test_rare_components_are_kept(seed, monkeypatch):
    share, shared, distance = after_rare_visits(seed)
    assert share.min() > 0.9 and not shared.any() and distance.max() < 0.5

    def by_time(received, eta):  # Sato and Ishii, 2000
        return torch.full_like(received, eta ** (32 / 20)), received

    monkeypatch.setattr('pauc_mm.clustering.mixture.steps.forgetting', by_time)
    share, shared, distance = after_rare_visits(seed)
    assert shared.all() and distance.min() > 1


def on_ranks(steps, uneven=False, **options):
    """The state after each rank has had its share of the same batches."""
    rank, world = get_rank(), get_world_size()
    mixture = OnlineGaussianMixture(12, 6, eta=0.9, **options)
    for step in range(steps):
        batch = normal(24, 6, seed=step)
        first = 9 if uneven else 24 // world
        ends = (0, first, 24) if world == 2 else (0, 24)
        mixture.update(batch[ends[rank] : ends[rank + 1]])
    before = copy.deepcopy(mixture.state_dict())
    all_reduce_params(mixture.buffers(), op='mean')  # SyncBuffersHook
    return before, mixture.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize('uneven', [False, True])
def test_two_ranks_have_the_state_of_one(tmp_path, uneven):
    alone, _ = on_ranks(40)
    assert alone['counts'].tolist() == [38, 1]
    results = run_ranks(on_ranks, 2, tmp_path, 40, uneven)
    for before, after in results:
        for name, value in alone.items():
            torch.testing.assert_close(
                before[name], value, rtol=1e-5, atol=1e-5
            )
            assert torch.equal(before[name], results[0][0][name]), name
            assert torch.equal(before[name], after[name]), name


def in_pieces_on_ranks():
    mixture = OnlineGaussianMixture(3000, 8, init='random', scratch_mib=1)
    mixture.initialise(normal(3000, 8))
    world = get_world_size()
    ends = (0, 9, 24) if world == 2 else (0, 24)
    sizes = {len(mixture._parts(n)) for n in (9, 15, 24)}
    cuts = {mixture._parts(n)[0].stop for n in (9, 15, 24)}
    for step in range(3):
        batch = normal(24, 8, seed=step)
        mixture.update(batch[ends[get_rank()] : ends[get_rank() + 1]])
    return mixture.state_dict(), sizes, cuts


@pytest.mark.slow
def test_ranks_with_batches_of_other_lengths_cut_the_components_alike(
    tmp_path,
):
    alone, sizes, cuts = in_pieces_on_ranks()
    assert min(sizes) > 1 and len(cuts) == 3  # by themselves they would not
    for state, _, _ in run_ranks(in_pieces_on_ranks, 2, tmp_path):
        for name, value in alone.items():
            torch.testing.assert_close(
                state[name], value, rtol=1e-5, atol=1e-5
            )


def refused_on_ranks():
    mixture = begun()
    batch = normal(4, 3)
    if get_rank() == 1:
        batch[2, 1] = math.nan
    before = copy.deepcopy(mixture.state_dict())
    with pytest.raises(ValueError, match='finite'):
        mixture.update(batch)
    return all(
        torch.equal(before[name], value)
        for name, value in mixture.state_dict().items()
    )


@pytest.mark.slow
def test_what_is_not_finite_on_one_rank_is_refused_by_all(tmp_path):
    assert run_ranks(refused_on_ranks, 2, tmp_path) == [True, True]


def test_a_checkpoint_of_mmengine_holds_everything(tmp_path):
    parts = [normal(16, 3, seed=step) for step in range(8)]
    options = dict(start_temperature=3, annealing_steps=20, eta=0.95)
    whole = OnlineGaussianMixture(6, 3, **options)
    for batch in parts[:5]:
        whole.update(batch)
    file = tmp_path / 'mixture.pth'
    torch.save(weights_to_cpu(get_state_dict(whole)), file)
    resumed = OnlineGaussianMixture(6, 3, **options)
    with pytest.raises(RuntimeError, match='has not begun'):
        resumed.assign(parts[0])
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert resumed.ready and resumed.steps == 3
    for batch in parts[5:]:
        whole.update(batch)
        resumed.update(batch)
    assert len(dict(whole.named_buffers())) == 6
    for name, value in whole.named_buffers():
        assert torch.equal(value, resumed.get_buffer(name)), name


def test_a_copy_and_an_empty_state():
    mixture = OnlineGaussianMixture(5, 3, init_samples=12)
    mixture.update(normal(12, 3))
    mixture.update(normal(4, 3))
    other = copy.deepcopy(mixture)
    assert torch.equal(
        other.assign(normal(9, 3)), mixture.assign(normal(9, 3))
    )
    new = OnlineGaussianMixture(5, 3, init_samples=12)
    other.load_state_dict(begun().state_dict())  # before any update
    assert other.ready and not other.steps
    mixture.load_state_dict(new.state_dict())
    assert not mixture.ready
    torch.testing.assert_close(mixture.frequency, torch.full((5,), 0.2))
    for seed in (1, 2):  # it begins like a new one, from 12 samples
        mixture.update(normal(6, 3, seed=seed))
        new.update(normal(6, 3, seed=seed))
    assert mixture.ready and torch.equal(mixture.means, new.means)
    # Nor do samples stay that were collected before another state came.
    mixture.load_state_dict(OnlineGaussianMixture(5, 3).state_dict())
    mixture.update(normal(6, 3, seed=9))
    mixture.load_state_dict(OnlineGaussianMixture(5, 3).state_dict())
    mixture.update(normal(6, 3, seed=1))
    assert not mixture.ready


def test_precision_and_gradients():
    h = normal(20, 3)
    plain, lowered = begun(), begun().float()
    plain.counts[0] = lowered.counts[0] = 2**24 + 1  # not in float32
    assert not list(plain.parameters())
    lowered.half()
    lowered.bfloat16()
    lowered.cpu()
    assert lowered.means.dtype == lowered.scatter.dtype == torch.float32
    assert lowered.counts.dtype == plain.counts.dtype == torch.float64
    assert torch.equal(lowered.counts, plain.counts)
    plain.update(h)
    inputs = h.clone().requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        lowered.update(inputs)
        found = log_responsibilities(lowered, inputs)
        again = begun(k=40)
    assert torch.equal(again.means, begun(k=40).means)
    assert found.dtype == torch.float32 and not found.requires_grad
    assert torch.equal(found, log_responsibilities(plain, h))
    for name in STATE:
        value = getattr(lowered, name)
        assert torch.equal(value, getattr(plain, name)), name
        assert not value.requires_grad
    lowered.update(h.bfloat16())  # what a network in autocast gives
    exact = begun().double()
    exact.update(h)
    assert exact.means.dtype == torch.float64
    assert log_responsibilities(exact, h).dtype == torch.float64
    torch.testing.assert_close(exact.means.float(), plain.means)


def test_the_floor_of_the_variances():
    mixture = OnlineGaussianMixture(2, 2, min_variance=0.01, init_samples=2)
    for _ in range(50):
        mixture.update(torch.tensor([[0.0, 1.0], [3.0, 1.0]]))
    torch.testing.assert_close(mixture.variances, torch.full((2, 2), 0.01))
    assert (mixture.scatter < 1e-6).all()
    assert sorted(mixture.means[:, 0].tolist()) == pytest.approx([0, 3])


def test_memory_of_a_component():
    # It never exceeds 1 / (1 - eta), and without samples nothing changes.
    mixture = OnlineGaussianMixture(2, 1, eta=0.9, init_samples=2)
    mixture.update(torch.tensor([[-9.0], [9.0]]))
    right = mixture.means[:, 0].argmax()
    before = mixture.scatter[right].item()
    for _ in range(60):
        mixture.update(torch.tensor([[-9.0], [-9.5], [-8.5]]))
    assert mixture.mass[1 - right].item() == pytest.approx(10, rel=1e-3)
    assert mixture.mass[right] == 1 and mixture.means[right] == 9
    assert mixture.scatter[right] == before
    assert mixture.frequency[right] < 1e-3


def test_annealing():
    steps = torch.arange(6, dtype=torch.float64)
    found = [inverse_temperature(s, 1 / 16, 4).item() for s in steps]
    assert found == pytest.approx([1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 1])
    for step in steps:  # without annealing
        assert inverse_temperature(step, 1 / 16, 0).item() == 1
    # Hot, all components share every sample; cold, each has its own.
    hot = begun(start_temperature=1e6, annealing_steps=1)
    h = normal(3, 3)
    torch.testing.assert_close(
        log_responsibilities(hot, h).exp(),
        torch.full((3, 5), 0.2),
        rtol=0,
        atol=1e-4,
    )
    hot.update(h)
    assert hot.inverse_temperature == 1


def test_the_beginning():
    centres = 100 * torch.eye(8)
    labels = torch.randperm(80, generator=torch.Generator()) % 8
    data = centres[labels] + normal(80, 8)
    mixture = OnlineGaussianMixture(8, 8, init_samples=70)
    for batch in data.split(16):
        assert not mixture.ready
        mixture.update(batch)
    assert mixture.ready and mixture.steps == 0
    assert mixture._collector._rows is None  # the memory is free
    # The means and sizes of the clusters among the first 70 of the 80.
    order = mixture.means.argmax(dim=1)
    assert sorted(order.tolist()) == list(range(8))
    first, known = data[:70], labels[:70]
    means = torch.stack([first[known == k].mean(dim=0) for k in order])
    torch.testing.assert_close(mixture.means, means)
    sizes = torch.bincount(known)[order].float()
    assert torch.equal(mixture.mass, sizes)
    torch.testing.assert_close(mixture.frequency, sizes / 70)
    own = (known[:, None] == order).int().argmax(dim=1)
    variance = (first - means[own]).square().mean(dim=0)
    torch.testing.assert_close(mixture.variances, variance.expand(8, 8))


def test_what_a_component_remembers_at_the_start(monkeypatch):
    # One to 1 / (1 - eta) samples; the frequencies are those that were seen.
    sizes = torch.tensor([0.0, 3, 17])
    drawn = normal(3, 2), sizes
    monkeypatch.setitem(start.STARTS, 'kmeans', lambda *_: drawn)
    mixture = OnlineGaussianMixture(3, 2, eta=0.9)
    mixture.initialise(normal(20, 2))
    assert mixture.mass.tolist() == pytest.approx([1, 3, 10])
    torch.testing.assert_close(mixture.frequency, sizes / 20)
    mixture.update(normal(4, 2))
    assert mixture.steps == 1
    mixture.initialise(normal(20, 2))  # again
    assert mixture.steps == 0


def test_the_distances_of_the_start():
    data = normal(30, 5)
    data[7], data[8] = data[3], data[3] + 0.05
    squares = data.square().sum(dim=1)
    rows = torch.tensor([3, 0, 29])
    found = start._squared_distances(data, squares, rows)
    torch.testing.assert_close(found, torch.cdist(data[rows], data).square())
    assert found[0, 3] == found[0, 7] == 0


def test_a_mean_without_members_stays_and_one_of_its_own_moves():
    data = torch.tensor([[0.0], [1.0], [9.0]])
    means, sizes = start._lloyd(data, torch.tensor([[1.0], [7.0], [99.0]]), 2)
    assert means.flatten().tolist() == [0.5, 9, 99]
    assert sizes.tolist() == [2, 1, 0]


def test_the_variance_of_the_start():
    # About the nearest mean, without what is one itself; in each dimension
    data = torch.tensor([[0.0, 5], [2, 5], [4, 8], [90, 5]])
    means = torch.tensor([[2.0, 5], [90, 5]])
    found = start.pooled_variance(data, means, 3)
    assert found.tolist() == [4, 4.5]
    many = torch.linspace(-1, 1, 12288)[:, None]  # only a part is read
    found = start.pooled_variance(many, torch.zeros(1, 1), 5000)
    assert found.item() == pytest.approx(1 / 3, rel=1e-3)


def test_merging_leaves_no_variance_below_zero():
    values = torch.linspace(1, 2, 1000)[None]  # of three equal samples
    sums = torch.cat([torch.ones(1, 1), values, values.square()], dim=1) * 3
    one = torch.ones(1)
    mass, means, scatter = steps.merge(
        (one, values, torch.zeros(1, 1000)), sums, 0 * one, one
    )
    assert mass == 1 and 0 <= scatter.min() <= scatter.max() < 1e-6
    # One that has no mass and gets none stays where it is.
    state = 0 * one, values, values + 1
    merged = steps.merge(state, 0 * sums, one, 0 * one)
    for before, after in zip(state, merged):
        assert torch.equal(before, after)


def test_ten_iterations_of_k_means():
    data, first = normal(150, 4), torch.arange(12)
    means, _ = start._lloyd(data, data[first], 64)
    np.testing.assert_allclose(means, by_loops(data, first, 10)[1], atol=1e-5)


def test_the_unit_of_the_data_does_not_matter():
    data = normal(40, 3)
    means, sizes = start.best_kmeans(data, 4, 0, 16)
    small, same = start.best_kmeans(data / 1024, 4, 0, 16)
    torch.testing.assert_close(small, means / 1024)
    assert torch.equal(sizes, same)


def test_runs_of_k_means_begin_elsewhere_for_each_seed(monkeypatch):
    seeds = []
    plus_plus = start._plus_plus

    def recorded(embeddings, k, seed):
        seeds.append(seed)
        return plus_plus(embeddings, k, seed)

    monkeypatch.setattr(start, '_plus_plus', recorded)
    for seed in (0, 1):
        start.best_kmeans(normal(40, 3), 4, seed, 16)
    assert len(set(seeds)) == len(seeds) == 2 * start.RUNS


def test_the_start_in_random_directions():
    mixtures = [
        OnlineGaussianMixture(40, 8, init='directions', seed=seed)
        for seed in (3, 3, 4)
    ]
    data = normal(200, 8) * 0.1 + 2.0
    for mixture in mixtures:
        mixture.initialise(data)
    means, again, others = (m.means for m in mixtures)
    assert torch.equal(means, again) and not torch.equal(means, others)
    length = (data**2).sum(dim=1).mean().sqrt().item()
    assert means.norm(dim=1).numpy() == pytest.approx(length, rel=1e-5)
    assert (mixtures[2].mass == 1).all()
    torch.testing.assert_close(
        mixtures[2].frequency, torch.full((40,), 1 / 40)
    )
    with pytest.raises(ValueError, match='num_components=40, but only 39'):
        mixtures[2].initialise(data[:39])
    # Uniform on the sphere: no direction is preferred, and none is near all.
    unit = means / length
    assert unit.mean(dim=0).norm() < 4 / 40**0.5
    far = torch.cdist(data, means)
    nearest = means[far.argmin(dim=1)]
    wanted = (data - nearest).square().mean(dim=0)
    torch.testing.assert_close(mixtures[0].variances[0], wanted)
    for _ in range(300):  # and those that the data chose, move to it
        mixtures[0].update(data)
    closest = torch.cdist(mixtures[0].means, data).min(dim=1).values
    assert closest.min() < 0.3 < closest.max()


def test_the_draw_at_random():
    data = normal(40, 3)
    first, again, other = (
        OnlineGaussianMixture(9, 3, init='random', seed=seed)
        for seed in (0, 5, 1)
    )
    again.seed = 0  # may be set until it begins
    for mixture in (first, again, other):
        mixture.initialise(data)
        assert all((data == row).all(dim=1).any() for row in mixture.means)
        assert len(mixture.means.unique(dim=0)) == 9
        assert (mixture.mass == 1).all()
    assert torch.equal(first.means, again.means)
    both = torch.cat([first.means, other.means])
    assert len(both.unique(dim=0)) > 9  # other rows, not another order
    # Enough are different, but not of those that are drawn
    with pytest.raises(ValueError, match='num_components=9'):
        first.initialise(torch.cat([data, torch.ones(2000, 3)]))


def test_nothing_waits_for_the_device(monkeypatch):
    mixture = begun(annealing_steps=5)
    # On a CPU it is read at once, on a GPU a step later.
    monkeypatch.setattr(DeferredFlag, 'raised', lambda self: False)
    before = copy.deepcopy(mixture.state_dict())
    h = normal(6, 3)
    with RefuseToWait():
        mixture.update(h * math.inf)
        assert mixture.steps is not None
    for name, value in mixture.state_dict().items():
        assert torch.equal(value, before[name]), name
    with RefuseToWait():
        mixture.update(h)
        mixture.assign(h)
    assert mixture.steps == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_on_a_gpu():
    here, there = begun(), begun().cuda()
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode('error')
    try:
        for step in range(3):
            h = normal(20, 3, seed=step)
            here.update(h)
            there.update(h.pin_memory().cuda(non_blocking=True))
    finally:
        torch.cuda.set_sync_debug_mode(mode)
    for name in STATE:
        torch.testing.assert_close(
            getattr(there, name).cpu(), getattr(here, name)
        )
    there.update(torch.full((2, 3), math.nan, device='cuda'))
    with pytest.raises(ValueError, match='finite'):
        there.update(normal(20, 3).cuda())


def test_the_options_of_the_published_runs():
    assert vars(MixtureOptions(9, 2)) == dict(
        **dict(num_components=9, dim=2, eta=0.99, min_variance=1e-4),
        **dict(start_temperature=1, annealing_steps=0, init='kmeans'),
        **dict(init_samples=None, seed=0, scratch_mib=256),
    )
    assert OnlineGaussianMixture(9, 2).init_samples == 4 * 9


@pytest.mark.parametrize(
    'option, value',
    [
        ('num_components', 0),
        ('num_components', 2.5),
        ('dim', 0),
        ('eta', 0),
        ('eta', 1.0),
        ('eta', math.nan),
        ('eta', '0.9'),
        ('start_temperature', 0.5),
        ('start_temperature', math.inf),
        ('annealing_steps', -1),
        ('annealing_steps', 10.5),
        ('min_variance', 0),
        ('init', 'zeros'),
        ('init_samples', 7),
        ('init_samples', 'all'),
        ('seed', -1),
        ('scratch_mib', 0),
    ],
)
def test_options_out_of_range(option, value):
    options = {'num_components': 8, 'dim': 2, option: value}
    with pytest.raises(ValueError) as caught:
        OnlineGaussianMixture(**options)
    assert option in str(caught.value) and repr(value) in str(caught.value)


@pytest.mark.parametrize(
    'batch, error, message',
    [
        (torch.zeros(4, 2), ValueError, r'dim = 3, got \(4, 2\)'),
        (torch.zeros(3), ValueError, r'got \(3,\)'),
        (torch.zeros(2, 2, 3), ValueError, r'got \(2, 2, 3\)'),
        (torch.zeros(0, 3), ValueError, 'empty'),
        (torch.zeros(4, 3).long(), TypeError, 'got torch.int64'),
        (np.zeros((4, 3)), TypeError, 'got ndarray'),
        ((torch.eye(4, 3) - 0.5).sqrt(), ValueError, 'must be finite'),
        (torch.zeros(4, 3).double() + 1e39, ValueError, 'must be finite'),
    ],
)
@pytest.mark.parametrize('ready', [False, True])
def test_bad_embeddings(batch, error, message, ready):
    mixture = begun() if ready else OnlineGaussianMixture(5, 3)
    before = copy.deepcopy(mixture.state_dict())
    for call in (mixture.update, mixture.initialise):
        with pytest.raises(error, match=message):
            call(batch)
    for name, value in mixture.state_dict().items():
        assert torch.equal(value, before[name]), name
    mixture.update(torch.zeros(4, 3))  # and it goes on


@pytest.mark.parametrize('init', ['kmeans', 'random'])
def test_fewer_samples_than_components(init):
    mixture = OnlineGaussianMixture(5, 3, init=init)
    with pytest.raises(ValueError, match='num_components=5, but only 4'):
        mixture.initialise(normal(4, 3))
    with pytest.raises(ValueError, match='different embeddings'):
        mixture.initialise(normal(4, 3).repeat(2, 1))
    with pytest.raises(ValueError, match='only 1 different .* collapsed'):
        for _ in range(4):
            mixture.update(torch.ones(5, 3))
    assert not mixture.ready
    with pytest.raises(RuntimeError, match='has not begun'):
        mixture.assign(normal(4, 3))
