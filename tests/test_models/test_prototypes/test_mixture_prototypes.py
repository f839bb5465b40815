# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""PCL and PAUC whose prototypes are means of online mixtures."""

import copy
import itertools
import logging
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.hooks import CheckpointHook
from mmpretrain.registry import MODELS

from pauc_mm.clustering import OnlineGaussianMixture
from pauc_mm.clustering.concentration import concentration
from pauc_mm.clustering.deferred_flag import DeferredFlag
from pauc_mm.models.prototypes import MixturePrototypes
from pauc_mm.utils import derive_seed
from tests.helpers import advance, images_batch, model_cfg, run_ranks
from tests.test_clustering.test_mixture.test_online_gaussian_mixture import (
    STATE,
    slow_update,
)
from tests.test_models.test_compile import BACKEND, train
from tests.test_models.test_pauc import by_hand
from tests.test_models.test_pcl import step
from tests.test_models.test_step_never_waits import RefuseToWait

MIXTURE = dict(eta=0.9, init_samples=12, min_variance=0.01)


def online_model(kind='PAUC', seed=0, mixture=MIXTURE, **changes):
    torch.manual_seed(seed)
    prototypes = dict(type='MixturePrototypes', **mixture)
    return MODELS.build(model_cfg(kind, prototypes=prototypes, **changes))


def begun_model(kind='PAUC', **changes):
    """After the two steps whose keys the mixtures begin with."""
    model = online_model(kind, **changes)
    for seed in (100, 101):
        step(model, images_batch(seed=seed))
    assert model.prototypes.ready
    return model


def unit(n, dim, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, dim, generator=generator), dim=1)


# ---- the losses ------------------------------------------------------------
def slow_phi(mu, var, share, eta, tau):
    """PCL's eq. 12 and its post-processing, a component at a time."""
    count = len(mu)
    phi, sizes = np.zeros(count), np.zeros(count)
    for k in range(count):
        c = mu[k] / np.sqrt((mu[k] ** 2).sum())
        square = 0.0
        for d in range(len(c)):
            square += var[k][d] + (mu[k][d] - c[d]) ** 2
        sizes[k] = share[k] * count / (1 - eta)
        phi[k] = np.sqrt(square) / np.log(sizes[k] + 10)
    phi[sizes < 2] = phi[sizes >= 2].max()
    phi = np.clip(phi, np.percentile(phi, 10), np.percentile(phi, 90))
    return phi * tau / phi.mean()


def slow_proto_nce(query, centroids, phi, own):
    """Eq. 11 for one set, where r is no bound: all others are negatives."""
    total = 0.0
    for i, v in enumerate(query):
        score = np.exp(v @ centroids[own[i]] / phi[own[i]])
        others = 0.0
        for j in own:  # once for each other sample, but for copies of its own
            if j != own[i]:
                others += np.exp(v @ centroids[j] / phi[j])
        for j in range(len(centroids)):
            if j not in own:
                others += np.exp(v @ centroids[j] / phi[j])
        total -= np.log(score / (score + others))
    return total / len(query)


def slow_assign(h, mu, var, mass, floor):
    found = []
    for sample in h:
        score = []
        for k in range(len(mu)):
            v = np.maximum(var[k], floor)
            density = ((sample - mu[k]) ** 2 / v + np.log(v)).sum()
            score.append(np.log(mass[k]) - density / 2)
        found.append(int(np.argmax(score)))
    return found


@pytest.mark.parametrize('kind', ['PCL', 'PAUC'])
def test_three_steps_against_slow_loops(kind):
    model = begun_model(kind)
    seen = []
    original = model.prototype_losses

    def spy(query, key, assigned):
        seen.append((query.detach().clone(), key.clone(), assigned.clone()))
        return original(query, key, assigned)

    model.prototype_losses = spy
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    states = [copy.deepcopy(m) for m in model.prototypes.mixtures]
    for seed in range(3):
        losses = step(model, images_batch(seed=seed))
        query, key, assigned = seen[-1]
        total = 0.0
        for m, mixture in enumerate(states):
            mu, var, mass, share = (
                getattr(mixture, name).double().numpy() for name in STATE
            )
            h, v = key.double().numpy(), query.double().numpy()
            own = slow_assign(h, mu, var, mass, mixture.options.min_variance)
            assert assigned[m].tolist() == own
            c = mu / np.sqrt((mu**2).sum(axis=1, keepdims=True))
            phi = slow_phi(mu, var, share, 0.9, 0.1)
            total += slow_proto_nce(v, c, phi, own) / len(states)
            for name, value in zip(STATE, slow_update(mixture, key, 1)):
                getattr(mixture, name).copy_(value)
        assert losses['loss_protonce'].item() == pytest.approx(total, rel=1e-4)
        if kind == 'PAUC':
            want = by_hand(query, key, assigned, [1, 1, 0.1])
            got = [losses[f'loss_{n}'] for n in ('align', 'uniform', 'corr')]
            torch.testing.assert_close(
                torch.stack(got).detach(), want, rtol=1e-4, atol=1e-5
            )
        optimizer.zero_grad()
        model.parse_losses(losses)[0].backward()
        optimizer.step()
    for mixture, slow in zip(model.prototypes.mixtures, states):
        assert mixture.steps == 3
        for name in STATE:
            torch.testing.assert_close(
                getattr(mixture, name),
                getattr(slow, name),
                rtol=1e-4,
                atol=1e-5,
            )


def test_infonce_alone_until_the_mixtures_begin():
    model = online_model(mixture=dict(MIXTURE, warmup_steps=2))
    assert not model.prototype_sets()
    names = [set(step(model, images_batch(seed=s))) for s in range(6)]
    assert len(model.prototype_sets()) == 2
    alone = {'loss_infonce', 'acc_instance'}
    # Two steps of warm-up, two for the twelve samples.
    assert names[:4] == [alone] * 4
    assert 'loss_protonce' in names[4] and names[4] == names[5]
    assert model.prototypes.steps == 6
    assert model.prototypes.mixtures[0].steps == 2


@pytest.mark.parametrize('update', ['before', 'after'])
def test_the_losses_read_the_mixtures_of_this_order(update):
    model = begun_model('PCL', mixture=dict(MIXTURE, update=update))
    twin = copy.deepcopy(model.prototypes)
    seen, original = [], model.prototype_losses
    model.prototype_losses = lambda *a: (seen.extend(a), original(*a))[1]
    step(model, images_batch(seed=1))
    _, key, assigned = seen
    before = twin.assign(key)
    twin.learn(key)
    want = before if update == 'after' else twin.assign(key)
    assert torch.equal(assigned, want)
    assert not torch.equal(before, twin.assign(key))  # they can be told apart
    for one, other in zip(model.prototypes.mixtures, twin.mixtures):
        assert torch.equal(one.means, other.means)


def test_parts_of_a_batch_make_it_forget_as_the_whole_does():
    whole, parts = (OnlineGaussianMixture(1, 8, eta=0.9) for _ in range(2))
    for mixture in (whole, parts):
        mixture.update(unit(12, 8))
    keys = unit(20, 8, seed=1)
    whole.update(keys)
    for part in (keys[:5], keys[5:]):
        parts.update(part)
    for name in ('mass', 'frequency'):
        torch.testing.assert_close(getattr(whole, name), getattr(parts, name))


def test_the_loss_needs_no_sample_idx():
    model = begun_model()
    batch = images_batch()
    for sample in batch['data_samples']:
        del sample.sample_idx
    assert 'loss_protonce' in step(model, batch)


def test_the_prototypes_are_constants():
    model = begun_model()
    assert not list(model.prototypes.parameters())
    first = step(model, images_batch(seed=1))
    second = step(model, images_batch(seed=2))
    for losses in (first, second):
        model.parse_losses(losses)[0].backward()
    for name, buffer in model.prototypes.named_buffers():
        assert buffer.grad is None and not buffer.requires_grad, name
    gradient = sum(p.grad.abs().sum() for p in model.backbone.parameters())
    assert gradient > 0
    assert all(p.grad is None for p in model.encoder_k.parameters())


def test_batches_in_one_cluster_are_still_counted(monkeypatch):
    said = []
    monkeypatch.setattr(
        'pauc_mm.models.pauc.print_log', lambda text, **_: said.append(text)
    )
    monkeypatch.setattr(
        'pauc_mm.models.pcl.print_log', lambda text, **_: said.append(text)
    )
    model = begun_model(num_clusters=[2, 6])
    model.prototypes.mixtures[0].mass[1] = 1e-30
    model.prototypes.mixtures[0].means[1] = 1e3
    step(model)
    model.end_epoch()
    assert said[0].startswith('Mixture K=2: used as ')
    assert said[1].startswith('Mixture K=6: used as ')
    assert 'after 1 updates' in said[0]
    assert 'In 1 of 1 batches' in said[2] and 'num_clusters[0]' in said[2]


# ---- the concentration -----------------------------------------------------
def test_mean_square_distance_is_exact():
    # One component that remembers everything: the statistics of all samples.
    h = F.normalize(unit(400, 16) + 0.2, dim=1)
    mixture = OnlineGaussianMixture(1, 16, eta=1 - 1e-7, init_samples=100)
    for batch in h.split(50):
        mixture.update(batch)
    c = F.normalize(h.mean(dim=0), dim=0)
    square = (h - c).square().sum(dim=1).mean()
    (ours,) = mixture.distances()
    assert ours.item() ** 2 == pytest.approx(square.item(), rel=1e-4)


@pytest.mark.parametrize('dim', [32, 128])
def test_concentration_is_that_of_the_samples(dim):
    centres = unit(12, dim)
    generator = torch.Generator().manual_seed(1)
    width = torch.linspace(0.3, 1.2, 12) / math.sqrt(dim)
    labels = torch.randint(16, (6000,), generator=generator)
    labels[labels > 11] //= 6  # so that the sizes differ
    noise = torch.randn(6000, dim, generator=generator)
    h = F.normalize(centres[labels] + width[labels, None] * noise, dim=1)
    remembered = 1500
    mixture = OnlineGaussianMixture(
        12, dim, eta=1 - 12 / remembered, init_samples=1000
    )
    for _ in range(3):
        for batch in h.split(100):
            mixture.update(batch)
    assigned = mixture.assign(h)
    c = F.normalize(mixture.means, dim=1)
    distances = (h - c[assigned]).norm(dim=1)
    sizes = torch.bincount(assigned, minlength=12)
    assert sizes.max() > 2 * sizes.min() > 0
    means = torch.stack([distances[assigned == k].mean() for k in range(12)])
    want = concentration(means, sizes / 6000 * remembered, 0.1)
    got = mixture.concentration(0.1)
    assert want.max() > 2 * want.min()
    torch.testing.assert_close(got, want, rtol=0.05, atol=0)


def test_unused_components_take_the_largest():
    mixture = OnlineGaussianMixture(12, 4, eta=0.9, init_samples=48)
    mixture.update(unit(48, 4))
    mixture.frequency.fill_(1 / 11)
    mixture.frequency[3] = 1e-9
    phi = mixture.concentration(0.2)
    assert phi[3] == phi.max() and phi.mean().item() == pytest.approx(0.2)


# ---- one state in all places -----------------------------------------------
GLOBAL_BATCH = 12


def steps_on_ranks(kind, steps=4):
    """Steps on this rank's share of fixed batches; BatchNorm in eval mode."""
    model = online_model(
        kind,
        num_clusters=[5, 12],
        proto_head=dict(type='ProtoNCEHead', num_negatives=2),
    ).eval()
    model.prototypes.seed_run(3)
    share = GLOBAL_BATCH // get_world_size()
    part = slice(get_rank() * share, (get_rank() + 1) * share)
    history = []
    for seed in range(steps):
        batch = images_batch(GLOBAL_BATCH, seed=seed)
        batch = dict(
            inputs=[view[part] for view in batch['inputs']],
            data_samples=batch['data_samples'][part],
        )
        losses = step(model, batch)
        history.append({k: v.detach().clone() for k, v in losses.items()})
    model.zero_grad()
    model.parse_losses(losses)[0].backward()
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    for tensor in [
        *(value for values in history for value in values.values()),
        *gradients.values(),
    ]:
        all_reduce(tensor, op='mean')  # as DistributedDataParallel does
    return history, gradients, model.prototypes.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['PCL', 'PAUC'])
def test_two_ranks_give_what_one_does(tmp_path, kind):
    history, gradients, state = steps_on_ranks(kind)
    assert 'loss_protonce' in history[-1]
    for other in run_ranks(steps_on_ranks, 2, tmp_path, kind):
        for values, theirs in zip(history, other[0]):
            assert values.keys() == theirs.keys()
            for name, value in values.items():
                assert theirs[name].item() == pytest.approx(
                    value.item(), abs=1e-5
                ), name
        for name, gradient in gradients.items():
            torch.testing.assert_close(
                other[1][name], gradient, rtol=1e-4, atol=1e-5
            )
        for name, value in state.items():
            torch.testing.assert_close(
                other[2][name], value, rtol=1e-4, atol=1e-5
            )


def test_a_checkpoint_goes_on_bit_for_bit():
    model = begun_model()
    state = copy.deepcopy(model.state_dict())
    other = online_model(seed=1)
    other.load_state_dict(state)
    assert other.prototypes.ready
    for seed in range(2):
        wanted = step(model, images_batch(seed=seed))
        for name, value in step(other, images_batch(seed=seed)).items():
            assert torch.equal(value, wanted[name]), name
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_negatives_differ_in_each_step_and_run(monkeypatch):
    seeds = []
    for run in range(2):
        model = begun_model()
        means = model.prototypes.vectors()
        model.prototypes.seed_run(run)
        assert torch.equal(model.prototypes.vectors(), means)
        seed = model.seed_negatives
        model.seed_negatives = lambda n, s=seed: (seeds.append(n), s(n))
        for _ in range(3):
            step(model)
    assert len(seeds) == len(set(seeds)) == 6


def test_precision_and_copies():
    model = begun_model()
    copied = copy.deepcopy(model)
    exact = step(copied)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = step(copy.deepcopy(model))
    for name, value in losses.items():
        assert value.dtype == torch.float32 and torch.isfinite(value), name
        if 'loss' in name:  # bf16 has 8 bits, the logits are divided by 0.1
            assert value.item() == pytest.approx(
                exact[name].item(), rel=0.1, abs=0.1
            )
    model.half()
    for name, buffer in model.prototypes.named_buffers():
        assert buffer.dtype != torch.float16, name
    assert model.prototypes.steps.dtype == torch.float64


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')  # torch's own, about its internals
def test_compiled_agrees_with_eager():
    plain = begun_model()
    compiled = copy.deepcopy(plain)
    want, _ = train(plain, plain.forward)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    forward = torch.compile(compiled.forward, backend=BACKEND)
    got, frames = train(compiled, forward)
    for a, b in zip(want, got):
        assert b == pytest.approx(a, rel=1e-3, abs=1e-4)
    assert frames[3] == frames[-1], 'compiles anew in each step'


def test_nothing_waits_for_the_device(monkeypatch):
    model = begun_model(centroid_weight=0.2)
    # On a CPU it is read at once, on a GPU a step later.
    monkeypatch.setattr(DeferredFlag, 'raised', lambda self: False)
    data = model.data_preprocessor(images_batch(), training=True)

    def forward_and_backward():
        losses = model.loss(**data)
        sum(v for k, v in losses.items() if 'loss' in k).backward()

    forward_and_backward()
    with RefuseToWait():
        forward_and_backward()
    assert model.prototypes.mixtures[1].steps == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_on_a_gpu():
    model = begun_model().cuda()
    data = model.data_preprocessor(images_batch(), training=True)
    model.loss(**data)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode('error')
    try:
        losses = model.loss(**data)
        sum(v for k, v in losses.items() if 'loss' in k).backward()
    finally:
        torch.cuda.set_sync_debug_mode(before)


# ---- wrong input -----------------------------------------------------------
@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(eta=1.5), 'model.prototypes: eta .* 1.5'),
        (dict(init='x'), "model.prototypes: init .* 'x'"),
        (dict(etta=0.9), 'model.prototypes: .*etta'),
        (dict(dim=8), 'model.prototypes.dim .* feat_dim'),
        (dict(num_prototypes=4), 'model.prototypes.num_prototypes'),
        (dict(temperature=0.2), 'model.prototypes.temperature'),
        (dict(num_components=4), 'model.prototypes: .*num_components'),
        (dict(init_samples=5), 'model.prototypes.init_samples .* >= 6, got 5'),
        (dict(init_samples=0), 'model.prototypes.init_samples .* >= 6, got 0'),
        (dict(warmup_steps=-1), 'model.prototypes.warmup_steps .* got -1'),
        (dict(warmup_steps=0.5), 'model.prototypes.warmup_steps .* got 0.5'),
        (dict(warmup_epochs=-1), 'model.prototypes.warmup_epochs .* got -1'),
        (dict(warmup_epochs='two'), "model.prototypes.warmup_epochs .*'two'"),
        (dict(warmup_steps=9, warmup_epochs=0), 'warmup_steps=9'),
        (
            dict(warmup_steps=9, warmup_epochs=2),
            'model.prototypes.warmup_epochs=2 and warmup_steps=9',
        ),
    ],
)
def test_bad_options_name_the_key(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        online_model(mixture={**MIXTURE, **changes})


def test_epochs_of_warm_up_need_the_length_of_an_epoch():
    prototypes = MixturePrototypes((4, 6), 8, 0.1, warmup_epochs=0.4)
    keys = F.normalize(torch.randn(24, 8), dim=1)
    with pytest.raises(RuntimeError, match='setup_check'):
        prototypes.learn(keys)
    runner = SimpleNamespace(
        train_dataloader=range(4),
        iter=0,
        max_iters=40,
        hooks=[],
        logger=logging.getLogger(__name__),
    )
    prototypes.check_setup(runner, 8)
    assert prototypes.warmup_steps == 2
    runner.iter = 38  # resumed without a mixture, which takes 3 steps
    late = MixturePrototypes((4, 6), 8, 0.1, init_samples=24)
    with pytest.raises(ValueError, match='begin after 41 steps .* has 40'):
        late.check_setup(runner, 8)
    none = MixturePrototypes((4, 6), 8, warmup_epochs=0)
    runner.iter = 0
    none.check_setup(runner, 8)
    assert none.warmup_epochs == none.warmup_steps == 0


@pytest.mark.parametrize(
    'warmup, done, begin', [(5, 0, 8), (5, 3, 8), (5, 7, 10), (0, 0, 3)]
)
def test_when_the_mixtures_begin_is_said_or_refused(warmup, done, begin):
    # 24 samples take three steps of 11, after the warm-up
    prototypes = MixturePrototypes((6,), 8, 0.1, warmup_steps=warmup)
    told = []
    runner = SimpleNamespace(
        train_dataloader=range(4),
        iter=done,
        max_iters=begin + 1,
        hooks=[],
        logger=SimpleNamespace(info=told.append),
    )
    prototypes.check_setup(runner, 11)
    assert f'after {begin} steps or {begin / 4:.3g} epochs' in told[0]
    runner.max_iters = begin
    with pytest.raises(ValueError, match='model.prototypes.init_samples'):
        prototypes.check_setup(runner, 11)


@pytest.mark.parametrize('by_epoch', [True, False])
@pytest.mark.parametrize('interval', [-1, 1, 2, 3, 5, 7])
def test_a_checkpoint_while_samples_are_collected_is_said(interval, by_epoch):
    period = interval * (4 if by_epoch else 1)
    for warmup in range(20):
        prototypes = MixturePrototypes((6,), 8, 0.1, warmup_steps=warmup)
        told = []
        runner = SimpleNamespace(
            train_dataloader=range(4),
            iter=0,
            max_iters=100,
            hooks=[
                SimpleNamespace(interval=1, by_epoch=False),
                CheckpointHook(interval=interval, by_epoch=by_epoch),
            ],
            logger=SimpleNamespace(info=str, warning=told.append),
        )
        prototypes.check_setup(runner, 8)
        # after the first or second step of three, which end the collection
        between = (warmup + 1, warmup + 2)
        want = period > 0 and any(step % period == 0 for step in between)
        assert bool(told) is want, (warmup, told)


def test_every_set_seed_and_run_draws_its_own_directions():
    def build(run=None, **options):
        prototypes = MixturePrototypes((4, 4, 4), 8, **options)
        if run is not None:
            prototypes.seed_run(run)
        return prototypes

    drawn = [
        *build().vectors().split(4),
        *build(seed=1).vectors().split(4),
        *build(run=7).vectors().split(4),
        *build(run=7, seed=1).vectors().split(4),
        *MixturePrototypes((4, 4), 8, seed=2).vectors().split(4),
    ]
    for one, other in itertools.combinations(drawn, 2):
        assert not torch.equal(one, other)
    assert torch.equal(build(run=7).vectors(), build(run=7).vectors())
    # those of a checkpoint stay, but what is drawn later has the run's seed
    loaded, fresh = build(), build(run=7)
    loaded.load_state_dict(build(seed=1).state_dict())
    loaded.seed_run(7)
    assert torch.equal(loaded.vectors(), build(seed=1).vectors())
    for one, other in zip(loaded.mixtures, fresh.mixtures):
        assert one.seed == other.seed
    assert loaded.temperature == 1


def test_the_seed_of_negatives_counts_from_the_first_step():
    model = online_model()
    model.prototypes.seed_run(7)
    for count in range(3):
        advance(model)  # it moves before the loss
        want = derive_seed(model.prototypes.run_seed, count)
        assert model._draws().initial_seed() == want


def test_the_summary_counts_equal_clusters():
    prototypes = MixturePrototypes((4, 3), 8, 0.1)
    assert prototypes.summary() == []
    prototypes.learn(unit(24, 8))
    shares = torch.tensor([0.1, 0.2, 0.3, 0.4])
    prototypes.mixtures[0].frequency.copy_(2.5 * shares)
    used = math.exp(-sum(p * math.log(p) for p in shares.tolist()))
    line, other = prototypes.summary()
    assert f'used as {used:.1f} equal clusters' in line
    assert 'min 0.1 / median 0.2 / max 0.4' in line
    for text, phi in zip((line, other), prototypes.concentrations().split(4)):
        assert f'mean concentration {phi.mean():.4f}' in text
        assert f'(min {phi.min():.4f}, max {phi.max():.4f})' in text


def test_what_is_loaded_replaces_the_counter_and_the_collected():
    def build():
        return MixturePrototypes((4, 6), 8, warmup_steps=2, init_samples=12)

    first, second = build(), build()
    for seed in range(3):  # the third is collected
        first.learn(unit(6, 8, seed))
    state = copy.deepcopy(first.state_dict())
    for prototypes in (first, second):
        prototypes.load_state_dict(state)
        for seed in (3, 4):  # no further warm-up, but both of them
            assert not prototypes.ready
            prototypes.learn(unit(6, 8, seed))
        assert prototypes.ready
        assert prototypes._collector.used == 0  # its memory is free again
    runner = SimpleNamespace(train_dataloader=range(4), iter=3, max_iters=3)
    first.check_setup(runner, 6)  # resumed, with nothing to say


@pytest.mark.parametrize('different, m, k', [(1, 0, 4), (5, 1, 6)])
def test_embeddings_that_are_alike_cannot_begin(different, m, k):
    prototypes = MixturePrototypes((4, 6), 8, 0.1)
    with pytest.raises(ValueError) as caught:
        prototypes.learn(unit(different, 8).repeat(24, 1)[:24])
    for words in (
        f'set {m} of model.prototypes, K={k}, cannot begin',
        f'only {different} different embeddings',
        'collapsed',
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize('begin', [True, False])
def test_keys_that_are_not_finite_stop_the_training(begin):
    prototypes = MixturePrototypes((4, 6), 8, 0.1)
    if begin:
        prototypes.learn(unit(24, 8))
        assert prototypes.ready
    with pytest.raises(ValueError, match='finite'):
        prototypes.learn(torch.full((24, 8), math.nan))
