# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The figures against slow references."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import Runner
from sklearn.cluster import KMeans

from experiments.comparison.frozen_accuracy import FrozenAccuracy
from experiments.comparison.measure import measure
from experiments.comparison.prototype_collapse import PrototypeCollapse
from tests.helpers import run_cfg


def blobs(number, classes=3, dim=8, spread=0.7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.eye(dim)[:classes]
    labels = torch.arange(number) % classes
    noise = spread * torch.randn(number, dim, generator=generator)
    return centres[labels] + noise, labels


def part(split, vectors, labels=None):
    names = [f'{split} {i}' for i in range(len(vectors))]
    return dict(split=split, vectors=vectors, labels=labels, names=names)


def voted(query, bank, labels, skip=None, k=20):
    """The class with most votes of weight exp(cos / 0.1), one at a time."""
    cosines = F.normalize(bank, dim=1) @ F.normalize(query, dim=0)
    if skip is not None:
        cosines[skip] = -math.inf
    votes = [0.0] * 3
    for place in cosines.argsort(descending=True)[:k].tolist():
        votes[labels[place]] += math.exp(cosines[place] / 0.1)
    return votes.index(max(votes))


@pytest.mark.slow
def test_accuracies_of_frozen_features():
    bank, labels = blobs(90)
    queries, wanted = blobs(60, seed=1)
    results = [part('bank', bank, labels), part('query', queries, wanted)]
    found = FrozenAccuracy(draws=2).compute_metrics(results)
    right = [voted(q, bank, labels) == int(w) for q, w in zip(queries, wanted)]
    assert found['knn'] == pytest.approx(sum(right) / 60)
    alone = [
        voted(bank[i], bank, labels, skip=i) == int(labels[i])
        for i in range(90)
    ]
    assert found['knn_train'] == pytest.approx(sum(alone) / 90)
    assert 0 < sum(right) < 60 and 0 < sum(alone) < 90
    # Of two Gaussians of deviation 0.7 at a distance of 2 sqrt(2) the best
    # line is right for 97.8%; of three at least 1 - 2 * 2.2%.
    assert found['linear'] > 0.9
    assert 1 / 3 < found['shot1'] < found['shot10'] <= 1
    assert set(found) == {
        'knn',
        'knn_train',
        'linear',
        'shot1',
        'shot5',
        'shot10',
    }


@pytest.mark.slow
def test_accuracies_need_both_splits_and_enough_images():
    bank, labels = blobs(90)
    with pytest.raises(ValueError, match='give val_cfg.bank_dataloader'):
        FrozenAccuracy().compute_metrics([part('query', bank, labels)])
    few = [part('bank', bank[:21], labels[:21]), part('query', bank, labels)]
    with pytest.raises(ValueError, match='10'):  # 7 of each class
        FrozenAccuracy().compute_metrics(few)


def test_collapse_of_prototypes():
    points = F.normalize(blobs(90, spread=0.2)[0], dim=1)
    # One is a copy, of which the first is taken; the last is far from all.
    axes = torch.eye(8)
    own = torch.stack([*axes[:3], axes[0], -torch.ones(8)])
    metric = PrototypeCollapse([axes[:1], own], num_clusters=3)
    found = metric.compute_metrics([part('bank', points)])
    assert found['own_number'] == 5 and found['own_unique_0.025'] == 0.8
    assert found['own_used'] == 0.6
    kmeans = KMeans(3, n_init=10, random_state=0).fit(points.numpy())
    within = []
    for cluster in range(3):
        members = points[torch.as_tensor(kmeans.labels_ == cluster)]
        centred = members - members.mean(dim=0)
        within.append(centred.square().sum(dim=1).mean().item())
    assert found['intra_variance'] == pytest.approx(sum(within) / 3, rel=0.05)
    assert found['unique_0.025'] == 1
    none = PrototypeCollapse([], num_clusters=3)
    found = none.compute_metrics([part('bank', points)])
    assert not [name for name in found if name.startswith('own')]
    with pytest.raises(ValueError, match='bank_dataloader'):
        none.compute_metrics([part('query', points)])


def test_points_have_no_variance():
    points = F.normalize(blobs(90, spread=1e-6)[0], dim=1)
    found = PrototypeCollapse([], 3).compute_metrics([part('bank', points)])
    assert found['intra_variance'] < 1e-9
    same = F.normalize(torch.ones(90, 8), dim=1)
    found = PrototypeCollapse([], 3).compute_metrics([part('bank', same)])
    assert found['unique_0.025'] == pytest.approx(1 / 3)  # one of three


def test_a_recipe_without_a_bank_is_refused(tmp_path):
    runner = Runner.from_cfg(run_cfg(tmp_path, max_epochs=2))
    with pytest.raises(ValueError, match='no val_cfg of type EmbeddingValLo'):
        measure(runner)
