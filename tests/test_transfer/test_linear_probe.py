# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pauc_mm.transfer import ProbeOptions, fit_linear_probe
from pauc_mm.transfer.linear_probe import select, split_by_class
from pauc_mm.transfer.probe_training import (
    Standardiser,
    loss_gradient,
    train_classifiers,
)
from tests.test_transfer.helpers import clusters, digits

RATES = tuple(np.geomspace(1e-3, 1, 20))


FEW = dict(epochs=3, batch_size=16)


def fit(features, labels, **options):
    return fit_linear_probe(features, labels, ProbeOptions(**options))


def train(features, labels, rates, decays=None, **options):
    return train_classifiers(
        features,
        labels,
        torch.arange(len(labels)),
        int(labels.max()) + 1,
        list(zip(rates, decays or [0.0] * len(rates))),
        ProbeOptions(**FEW, **options),
    )[1]


def by_autograd(features, labels, lr, weight_decay, seed, momentum):
    """The same training with torch's own layer, loss, optimiser, schedule."""
    x = (features - features.mean(0)) / features.std(0, correction=0)
    layer = torch.nn.Linear(x.shape[1], int(labels.max()) + 1)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(
        [
            dict(params=[layer.weight], weight_decay=weight_decay),
            dict(params=[layer.bias]),
        ],
        lr=lr,
        momentum=momentum,
    )
    steps = 3 * math.ceil(len(x) / 16)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(3):
        for batch in torch.randperm(len(x), generator=generator).split(16):
            loss = F.cross_entropy(layer(x[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return torch.cat([layer.weight.T, layer.bias[None]]).detach()


@pytest.mark.parametrize('momentum', [0.0, 0.9])
def test_it_is_torchs_sgd_with_a_cosine(momentum):
    features, labels = clusters(members=23, noise=2.0)  # the last batch: 5
    rates, decays = [0.01, 0.3, 0.3], [0.0, 0.0, 0.1]
    weights = train(features, labels, rates, decays, seed=4, momentum=momentum)
    assert weights.shape == (6, 3, 3)
    for i, (lr, decay) in enumerate(zip(rates, decays)):
        own = by_autograd(features, labels, lr, decay, 4, momentum)
        torch.testing.assert_close(weights[:, i], own, atol=2e-6, rtol=1e-5)


def test_gradients_too_small_for_float32_are_zero():
    # what is left of its digits makes a product many times as slow
    logits = torch.tensor([[[0.0, -20.0, -95.0], [3.0, 0.0, -40.0]]] * 2)
    labels = torch.tensor([1, 0])
    found = loss_gradient(logits, labels)
    exact = logits.double().requires_grad_()
    losses = F.cross_entropy(
        exact.flatten(0, 1), labels.repeat_interleave(2), reduction='sum'
    )
    (expected,) = torch.autograd.grad(losses / 2, exact)
    torch.testing.assert_close(found.double(), expected, atol=1e-7, rtol=0)
    assert 0 < expected[0, 0, 2] < torch.finfo(torch.float32).tiny
    assert (found[:, 0, 2] == 0).all() and (found[:, 1, 2] > 0).all()


def test_one_rate_alone_gets_the_same_weights():
    features, labels = clusters(members=40, dim=30, noise=2.0)
    together = train(features, labels, RATES)
    for i in (0, 9, 19):
        alone = train(features, labels, RATES[i : i + 1])
        torch.testing.assert_close(
            together[:, i], alone[:, 0], atol=1e-5, rtol=1e-5
        )
    assert (together[:, 0] - together[:, 19]).abs().max() > 0.1


@pytest.mark.slow
def test_converged_it_is_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    features, labels, test_features, test_labels = digits()
    decay = 0.01
    probe = fit(
        features,
        labels,
        learning_rates=[0.5],
        weight_decays=[decay],
        epochs=1000,
        batch_size=len(labels),
    ).probe
    rows = torch.arange(len(labels))
    standardise = Standardiser(features, rows)
    # mean cross-entropy + decay / 2 |w|² is sklearn's with C = 1 / (decay N)
    regression = LogisticRegression(
        C=1 / (decay * len(labels)), tol=1e-6, max_iter=1000
    ).fit(standardise(features).double().numpy(), labels.numpy())
    own = probe.logits(test_features).softmax(1)
    test_x = standardise(test_features).double().numpy()
    theirs = regression.predict_proba(test_x)
    assert np.abs(own.numpy() - theirs).max() < 1e-3
    accuracy = probe.accuracies(test_features, test_labels)[1]
    expected = regression.score(test_x, test_labels.numpy())
    assert accuracy == pytest.approx(expected)
    assert accuracy > 0.93


def test_the_rate_is_chosen_on_held_out_images():
    features, labels, test_features, test_labels = digits()
    selection = fit(features, labels, epochs=5)
    held_out = selection.held_out_accuracies
    assert len(held_out) == len(selection.grid) == 20
    assert held_out[selection.best] == max(held_out)
    assert selection.num_held_out == sum(
        round(0.1 * n) for n in labels.bincount().tolist()
    )
    probe = selection.probe
    top = probe.accuracies(test_features, test_labels)
    assert 0.93 < top[1] <= top[5] <= 1
    # by hand from the logits
    right = probe.logits(test_features).argmax(1) == test_labels
    assert top[1] == right.double().mean().item()


def test_the_chosen_rate_is_trained_on_all_images():
    features, labels = clusters(members=30, noise=1.5)
    selection = fit(features, labels, seed=7, **FEW)
    weights = selection.probe.weights
    alone = train(features, labels, [selection.learning_rate], seed=7)
    torch.testing.assert_close(weights, alone)
    again = fit(features, labels, seed=7, **FEW)
    assert torch.equal(weights, again.probe.weights)
    other = fit(features, labels, seed=8, **FEW)
    assert not torch.equal(weights, other.probe.weights)


def test_the_scale_and_place_of_features_do_not_count():
    features, labels = clusters(members=30, noise=1.5)
    moved = (features.double() * 1e-4 + 0.5).float()
    moved = torch.cat([moved, torch.full((len(labels), 1), 0.1)], 1)
    one = fit(features, labels, **FEW).probe
    two = fit(moved, labels, **FEW).probe
    torch.testing.assert_close(
        one.logits(features), two.logits(moved), atol=0.05, rtol=0
    )
    # the last feature never varied in training, so that it says nothing
    assert two.weights[-2].abs().max() == 0
    changed = moved.clone()
    changed[:, -1] = 100
    assert torch.equal(two.logits(moved), two.logits(changed))


def test_features_are_not_changed_and_may_be_of_numpy():
    features, labels = clusters()
    before = features.clone()
    one = fit(features, labels, epochs=1).probe
    two = fit(features.double().numpy(), labels.numpy(), epochs=1).probe
    assert torch.equal(features, before)
    torch.testing.assert_close(one.weights, two.weights)


def test_held_out_shares_of_each_class():
    labels = torch.tensor([0] * 20 + [1] * 4 + [2])
    train_rows, rest = split_by_class(labels, 0.1, seed=0)
    assert labels[rest].tolist() == [0, 0, 1]  # never the only one
    assert sorted([*train_rows.tolist(), *rest.tolist()]) == list(range(25))
    assert not torch.equal(rest, split_by_class(labels, 0.1, seed=1)[1])


def test_of_equals_the_lower_loss_and_never_the_diverged():
    accuracies = torch.tensor([0.5, 0.9, 0.9, math.nan]).double()
    losses = torch.tensor([0.1, 0.4, 0.3, 0.0]).double()
    assert select(accuracies, losses, [(1.0, 0.0)] * 4) == 2


def test_a_rate_that_diverges_is_left_out_and_the_others_are_not_touched():
    features, labels = clusters(members=40, dim=30)
    options = dict(weight_decays=[10.0], epochs=30, batch_size=16)
    # weight decay 10 at a rate of 1e6 multiplies weights by 1e7 each step
    selection = fit(features, labels, learning_rates=[1e-3, 1e6], **options)
    assert math.isnan(selection.held_out_accuracies[1])
    assert selection.learning_rate == 1e-3
    assert torch.isfinite(selection.probe.weights).all()
    with pytest.raises(ValueError, match='learning_rates .* got 1 .*1e[+]06'):
        fit(features, labels, learning_rates=[1e6], **options)


def test_steps_are_enough_for_a_small_set():
    options = ProbeOptions(batch_size=256)
    assert options.num_epochs(512) == 1000
    assert options.num_epochs(50_000) == 11  # 196 steps each
    assert options.num_epochs(1_281_167) == 10
    features, labels = clusters(members=400)
    options = ProbeOptions(batch_size=8)
    selection = fit_linear_probe(features, labels, options)
    assert selection.epochs == options.num_epochs(1200) == 14


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(labels=torch.zeros(60, dtype=torch.long)), 'labels .* got 60'),
        (dict(labels=torch.arange(60)), 'labels .* two images'),
        (dict(labels=torch.ones(59, dtype=torch.long)), r'shape \(60,\)'),
        (dict(labels=torch.arange(60) % 3 - 1), 'got -1 to 1'),
        (dict(num_classes=2), r'num_classes=2\), got 0 to 2'),
        (dict(features=torch.full((60, 2), math.nan)), '60 of 60 features'),
    ],
)
def test_wrong_input(changes, message):
    features, labels = clusters()
    arguments = {**dict(features=features, labels=labels), **changes}
    with pytest.raises(ValueError, match=message):
        fit_linear_probe(**arguments)


@pytest.mark.parametrize(
    'key, value',
    [
        ('learning_rates', [0.1, -1]),
        ('learning_rates', []),
        ('weight_decays', [-1e-4]),
        ('held_out', 1.0),
        ('held_out', 0),
        ('epochs', 0),
        ('batch_size', 2.5),
        ('momentum', 1),
    ],
)
def test_wrong_options(key, value):
    with pytest.raises(ValueError, match=f'{key} must'):
        ProbeOptions(**{key: value})


def test_wrong_types():
    features, labels = clusters()
    with pytest.raises(TypeError, match='labels .* torch.float'):
        fit_linear_probe(features, labels.float())
    probe = fit(features, labels, epochs=1).probe
    with pytest.raises(ValueError, match=r'features .*, 5.* got \(60, 4\)'):
        probe.logits(features[:, :4])
