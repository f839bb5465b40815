# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math
import sys

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from pauc_mm.evaluation import knn_predict


def samples(num, num_classes=5, dim=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centers = torch.randn(
        num_classes, dim, generator=torch.Generator().manual_seed(99)
    )
    labels = torch.arange(num) % num_classes
    noise = torch.randn(num, dim, generator=generator)
    return centers[labels] + noise, labels


def loop(query, bank, labels, num_classes, k, temperature, exclude_self):
    """The definition, one vote at a time."""
    predictions = []
    for i, q in enumerate(query.tolist()):
        found = []
        for j, b in enumerate(bank.tolist()):
            if exclude_self and i == j:
                continue
            dot = sum(x * y for x, y in zip(q, b))
            found.append((dot / math.hypot(*q) / math.hypot(*b), j))
        votes = [0.0] * num_classes
        for cosine, j in sorted(found, reverse=True)[:k]:
            votes[int(labels[j])] += math.exp(cosine / temperature)
        predictions.append(votes.index(max(votes)))
    return predictions


@pytest.mark.parametrize('temperature', [0.05, 0.1, 10.0])
@pytest.mark.parametrize('exclude_self', [False, True])
def test_equals_double_loop(exclude_self, temperature):
    bank, labels = samples(60)
    query = bank if exclude_self else samples(25, seed=1)[0]
    got = knn_predict(
        query,
        bank,
        labels,
        5,
        k=(59, 1, 7),
        temperature=temperature,
        chunk=8,
        exclude_self=exclude_self,
    )
    assert sorted(got) == [1, 7, 59]
    for k, predicted in got.items():
        expected = loop(query, bank, labels, 5, k, temperature, exclude_self)
        assert predicted.tolist() == expected
        assert predicted.dtype == torch.int64


@pytest.mark.parametrize('k', [1, 20, 100])
def test_equals_scikit_learn(k):
    bank, labels = samples(300)
    query, _ = samples(80, seed=1)

    def weights(cosine_distance):
        return np.exp((1 - cosine_distance) / 0.1)

    reference = KNeighborsClassifier(k, weights=weights, metric='cosine')
    reference.fit(bank.numpy(), labels.numpy())
    options = {} if k == 20 else dict(k=k)  # the default
    got = knn_predict(query, bank, labels, 5, **options)[k]
    assert got.tolist() == reference.predict(query.numpy()).tolist()


def test_nearer_neighbours_weigh_more():
    bank = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.6, -0.8]])
    labels = torch.tensor([0, 1, 1])
    query = torch.tensor([[2.0, 0.0]])
    # exp(1 / t) against 2 exp(0.6 / t): equal at t = 0.4 / log 2.
    balance = 0.4 / math.log(2)
    for temperature, expected in ((0.99 * balance, 0), (1.01 * balance, 1)):
        got = knn_predict(query, bank, labels, 2, 3, temperature=temperature)
        assert got[3].item() == expected


def test_tiny_temperature_does_not_overflow():
    bank, labels = samples(30)
    query, _ = samples(30, seed=1)  # some farther than others
    nearest = knn_predict(query, bank, labels, 5, k=1)[1]
    got = knn_predict(query, bank, labels, 5, k=10, temperature=1e-5)[10]
    assert got.tolist() == nearest.tolist() != labels.tolist()


def test_ties_go_to_the_lowest_class_and_hairs_count():
    bank = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    got = knn_predict(torch.ones(1, 2), bank, [2, 1], 4, 2)
    assert got[2].tolist() == [1]
    # 1 + exp(-1 / t) is less than exp(-0.41 / t) + exp(-0.58 / t), but not
    # in float32.
    cosine = torch.tensor([1.0, 0.0, 0.59, 0.42])
    bank = torch.stack([cosine, (1 - cosine**2).sqrt()], dim=1)
    got = knn_predict(bank[:1], bank, [0, 0, 1, 1], 2, 4, temperature=1e6)
    assert got[4].tolist() == [1]


def test_leave_one_out_among_duplicates():
    # Of 10 equal samples a query need not be found among its neighbours.
    bank = torch.ones(10, 3)
    got = knn_predict(bank, bank, torch.zeros(10).long(), 2, k=4)
    assert got[4].tolist() == [0] * 10
    got = knn_predict(
        bank, bank, torch.zeros(10).long(), 2, k=4, exclude_self=True
    )
    assert got[4].tolist() == [0] * 10


def test_leave_one_out_never_votes_for_itself():
    bank = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    labels = torch.tensor([0, 1, 2, 3])
    got = knn_predict(bank, bank, labels, 4, k=1, exclude_self=True)[1]
    assert got.tolist() == [1, 0, 3, 2]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_low_precision(dtype):
    bank, labels = samples(50)
    bank = bank.to(dtype)
    got = knn_predict(bank, bank, labels, 5, k=5)
    same = knn_predict(
        bank.float().numpy(), bank.float(), labels.numpy(), 5, 5
    )
    assert torch.equal(got[5], same[5])


@pytest.mark.parametrize(
    'options, found',
    [
        (dict(k=31), r'k=\[31\].*30'),
        (dict(k=(5, 200)), r'200.*30'),
        (dict(k=30, exclude_self=True), r'k=\[30\].*29'),
        (dict(k=0), r'k=\[0\]'),
        (dict(k=()), r'k=\[\]'),
        (dict(temperature=0), 'temperature.*0'),
        (dict(temperature=-0.1), 'temperature.*-0.1'),
        (dict(num_classes=4), r'num_classes=4.*0 to 4'),
        (dict(bank_labels=torch.zeros(29).long()), r'\(30,\).*\(29,\)'),
        (dict(bank_labels=torch.zeros(31).long()), r'\(30,\).*\(31,\)'),
        (dict(bank_labels=torch.arange(30) % 5 - 1), 'num_classes=5.*-1 to 3'),
        (dict(query=torch.randn(3, 5)), '5 and 6'),
        (dict(query=torch.randn(3, 7)), '7 and 6'),
        (dict(query=torch.randn(3, 6), exclude_self=True), '3 and 30'),
        (dict(query=torch.full((3, 6), math.nan)), '3 of 3 query.*finite'),
        (dict(bank=torch.zeros(30, 6)), '30 of 30 bank.*zero norm'),
    ],
)
def test_bad_arguments(options, found):
    bank, labels = samples(30)
    given = dict(query=bank, bank=bank, bank_labels=labels, num_classes=5)
    with pytest.raises(ValueError, match=found):
        knn_predict(**{**given, **options})


def test_missing_faiss(monkeypatch):
    monkeypatch.setitem(sys.modules, 'faiss', None)
    bank, labels = samples(30)
    with pytest.raises(ImportError, match='pip install faiss-cpu'):
        knn_predict(bank, bank, labels, 5)
