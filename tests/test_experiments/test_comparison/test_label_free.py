# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What is measured of a trained model, on a model that is not trained."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import Runner

from experiments.comparison import label_free
from experiments.comparison.frozen_accuracy import FrozenAccuracy
from pauc_mm.evaluation.functional import koleo, lidar, rankme
from pauc_mm.models.prototypes import PrototypeSet
from tests.helpers import PLAIN, embed_by_hand, loader_cfg, run_cfg

pytestmark = pytest.mark.slow
# Of the larger set, one of six is a copy.
PROTOTYPES = torch.eye(8)[[0, 1, 2, 3, 4, 4]]


@pytest.fixture
def runner(tmp_path, monkeypatch):
    # Its classifiers have tests of their own.
    monkeypatch.setattr(
        FrozenAccuracy, 'compute_metrics', lambda self, parts: dict(knn=0.5)
    )
    sets = [PrototypeSet(PROTOTYPES[:2]), PrototypeSet(PROTOTYPES)]
    monkeypatch.setattr(label_free, 'prototype_sets', lambda model: sets)
    cfg = run_cfg(
        tmp_path,
        'PCL',
        val_dataloader=loader_cfg(PLAIN),
        val_cfg=dict(
            type='EmbeddingValLoop', bank_dataloader=loader_cfg(PLAIN)
        ),
        val_evaluator=[dict(type='EmbeddingGeometry')],
    )
    return Runner.from_cfg(cfg)


def test_values_are_those_of_the_functions(runner):
    evaluator = runner.val_loop.evaluator
    found = label_free.measure(runner)
    assert runner.val_loop.evaluator is evaluator
    assert all(isinstance(value, float) for value in found.values())
    dataset = runner.train_dataloader.dataset
    rows = list(range(len(dataset)))
    features, embeddings = embed_by_hand(runner.model, dataset, rows)
    for space, vectors in (('feature', features), ('embedding', embeddings)):
        assert found[f'{space}/rankme'] == pytest.approx(
            rankme(F.normalize(vectors, dim=1)), rel=1e-4
        )
    assert found['prototypes/koleo'] == pytest.approx(koleo(PROTOTYPES))
    assert found['prototypes/unique'] == 5 / 6
    assert 0 <= found['prototypes/view_agreement'] <= 1
    assert found['accuracy/knn'] == 0.5


def test_views_are_augmented_and_repeatable(runner):
    before = torch.get_rng_state()
    features, embeddings = label_free._embed_views(runner)
    assert torch.equal(torch.get_rng_state(), before)
    number = len(runner.train_dataloader.dataset)
    assert features.shape[:2] == embeddings.shape[:2] == (number, 5)
    # Some views of an image differ, those of one number are not all alike.
    assert (embeddings.std(dim=1) > 0).any() and not torch.equal(
        embeddings[:, 0], embeddings[:, 1]
    )
    again = label_free._embed_views(runner)[1]
    assert torch.equal(again, embeddings)
    found = label_free.measure(runner)
    expected = lidar(embeddings)
    assert found['views/lidar_embedding'] == pytest.approx(expected, rel=1e-4)
